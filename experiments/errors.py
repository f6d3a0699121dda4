"""The error that the command line shows as one line, with exit status 2."""


class UsageError(Exception):
    """What the user asked for cannot be done; the message says what was wrong and what is allowed."""
