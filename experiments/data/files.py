"""Files are read whole, written whole, and refused unless they are the expected ones."""

import hashlib
import os
from pathlib import Path

from experiments.data.errors import DataError


def read(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


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
