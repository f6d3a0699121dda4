"""The results file, atomic writing of files, and reading of regular files only."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

FILE = "results.parquet"
"""Name of a results file."""

FORMAT = 1
"""Version of its columns and metadata; a file of another version is refused."""


@contextlib.contextmanager
def atomic(path: str | os.PathLike, partial: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path, renamed to `path` if the block succeeds.

    Missing folders are created, and the permissions of an existing file are kept. If the block
    raises or the process is killed, `path` is left unchanged.

    Args:
        path: the file.
        partial: the temporary path, on the same file system; a killed process leaves it behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are readable by their owner only, but results may be shared.
    partial = partial or path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield partial
        with contextlib.suppress(FileNotFoundError):
            partial.chmod(path.stat().st_mode & 0o7777)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, content: bytes, partial: Path | None = None) -> Path:
    """Write a file atomically, as `atomic`, and return its path."""
    with atomic(path, partial) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write a text file atomically (UTF-8, Unix line ends) and return its path."""
    return write_bytes(path, text.encode())


def read_plain(path: str | os.PathLike, most: int) -> bytes:
    """Return the content of an untrusted file; links, pipes and devices are refused.

    Args:
        path: the file.
        most: the largest size allowed, in bytes.

    Raises:
        ValueError: if it is not a regular file or is too large; the message names it.
        OSError: if it is missing or cannot be read.
    """
    name = os.fspath(path)
    check_plain(path)
    # The file may have been replaced meanwhile: do not block on a pipe or follow a link.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with open(path, "rb", opener=lambda path, _: os.open(path, flags)) as file:
        about = os.fstat(file.fileno())
        _check_plain(name, about)
        content = b"" if about.st_size > most else file.read(most + 1)
    if max(about.st_size, len(content)) > most:
        raise ValueError(f"{name} is larger than {most / 2**20:,.0f} MiB")
    return content


def check_plain(path: str | os.PathLike) -> None:
    """Raise ValueError, naming the path, if it is a link, folder, pipe or device.

    Raises:
        OSError: if it is missing.
    """
    _check_plain(os.fspath(path), os.lstat(path))


def _check_plain(name: str, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        kind = "a link" if stat.S_ISLNK(about.st_mode) else "a folder, pipe or device"
        raise ValueError(f"{name} is {kind}, not a regular file")
