"""Files are read whole, written whole, and refused unless they are the expected ones."""

import hashlib
import os
import stat
from pathlib import Path

from experiments.data.errors import DataError

MOST = 2**30
"""Bytes of a file: several times those of the largest that is expected."""


def read(path: Path) -> bytes:
    """Return the content of a file, or of the one that a link leads to.

    Raises:
        DataError: It cannot be read, is a pipe or a device, or is far too large.
    """
    try:
        with open(path, "rb", opener=_unwaiting) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise DataError(f"{path} is not a file")
            if about.st_size > MOST:
                raise DataError(f"{path} holds {about.st_size:,} bytes, of {MOST:,} at most")
            return file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _unwaiting(path: str, flags: int) -> int:
    """Open a file; where it is a pipe, do not wait for who writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def write(path: Path, content: bytes) -> None:
    """Write a file, and the folder that it is in; whole, whenever the process is killed.

    Raises:
        DataError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


def check(path: Path, content: bytes, checksum: str) -> None:
    """Refuse the content of a file unless its checksum, `algorithm:hexadecimal`, is the expected.

    Raises:
        DataError: The checksum differs.
    """
    algorithm, _, expected = checksum.partition(":")
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(
            f"{path}: expected {algorithm} {expected}, but {len(content):,} bytes with {found} "
            "were found: a damaged or another file"
        )
