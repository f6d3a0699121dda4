"""The error of everything that is wrong with a data set."""

from experiments.system.errors import UsageError


class DataError(UsageError):
    """A data set cannot be had: one line that names the file, what was expected and found."""
