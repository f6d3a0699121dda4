"""Paths as the user writes them."""

from pathlib import Path

from experiments.system.errors import UsageError


def named(text: str) -> Path:
    """Return the path that a text names; `~` is the user's home, whatever the shell made of it.

    Raises:
        UsageError: where it names none.
    """
    if not text:
        raise UsageError("the name of a file or a folder is empty")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text}: there is no such user") from error
