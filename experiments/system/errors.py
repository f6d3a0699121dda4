"""The error for invalid requests."""


class UsageError(Exception):
    """A request that cannot be met, shown as one line with exit status 2."""
