"""Files and folders: paths given by the user, the cache folder, atomic writes."""

import contextlib
import os
import secrets
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
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "estimax"


def write_whole(path: Path, content: bytes, partial: Path | None = None) -> None:
    """Write a file atomically: it holds the old or new content even if the process is killed.

    Args:
        path: the file; if it exists, its permissions are kept.
        content: the new content.
        partial: the name of the unfinished file, which a killed process leaves behind.
    """
    partial = partial or path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        partial.write_bytes(content)
        with contextlib.suppress(FileNotFoundError):
            partial.chmod(path.stat().st_mode & 0o7777)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
