"""The error that the command line shows as one line, with exit status 2."""


class UsageError(Exception):
    """What was asked for cannot be done; the message says why, and what is allowed."""
