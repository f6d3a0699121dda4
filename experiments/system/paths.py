"""Paths: those given by the user, and the cache folder."""

from pathlib import Path

from experiments.system.errors import UsageError


def named(text: str) -> Path:
    """Return the path named by a text, with `~` expanded.

    Raises:
        UsageError: if it names none.
    """
    if not text:
        raise UsageError("the name of a file or a folder is empty")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text}: no such user") from error


def cache() -> Path:
    """Return the cache folder of estimax."""
    import pooch  # slow, and rarely needed by who imports `experiments.data`

    return pooch.os_cache("estimax")
