"""The error for data sets."""

from experiments.system.errors import UsageError


class DataError(UsageError):
    """A data set is unavailable or damaged; the message is one line that names the file."""
