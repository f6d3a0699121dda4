"""Reading, atomic writing and verification of data files."""

import hashlib
import os
import stat
from pathlib import Path

from experiments.data.errors import DataError

MAX_BYTES = 2**30
"""Maximum size of a file: several times that of the largest expected one."""


def read(path: Path) -> bytes:
    """Return the content of a file; links are followed.

    Raises:
        DataError: It is unreadable, a pipe or a device, or larger than `MAX_BYTES`.
    """
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise DataError(f"{path} is not a file")
            if about.st_size > MAX_BYTES:
                raise DataError(f"{path} has {about.st_size:,} bytes, more than {MAX_BYTES:,}")
            return file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _open_nonblocking(path: str, flags: int) -> int:
    """Open a file without waiting for the writer of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def write(path: Path, content: bytes) -> None:
    """Write a file atomically, and create its folder.

    Raises:
        DataError: It cannot be written.
    """
    from analysis.files import write_bytes  # importing `analysis` is slow

    try:
        write_bytes(path, content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


def check(path: Path, content: bytes, checksum: str) -> None:
    """Verify the checksum, `algorithm:hexadecimal`, of a file's content.

    Raises:
        DataError: The checksum differs.
    """
    algorithm, _, expected = checksum.partition(":")
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(
            f"{path}: expected {algorithm} {expected}, but found {len(content):,} bytes with "
            f"{found}: the file is damaged or not the expected one"
        )
