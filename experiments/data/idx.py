"""Reader of the idx format of the MNIST family."""

import gzip
import io
import lzma
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data import files
from experiments.data.errors import DataError

_UNSIGNED_BYTE = 0x08
_COMPRESSED: dict[str, tuple[str, Any]] = {
    ".xz": ("xz", lzma.open),
    ".gz": ("gzip", gzip.open),
}


def read_idx(path: Path, shape: tuple[int, ...], checksum: str) -> npt.NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, and verify it.

    Args:
        path: The file, compressed if its name ends in .xz or .gz.
        shape: The expected shape.
        checksum: Checksum of the uncompressed file, `algorithm:hexadecimal`.

    Returns:
        A read-only uint8 array of that shape.

    Raises:
        DataError: The file is unreadable, truncated, corrupt or not the expected one.
    """
    header = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    header += b"".join(size.to_bytes(4, "big") for size in shape)
    content = _uncompressed(path, len(header) + math.prod(shape))
    if not content.startswith(header):
        found = content[: len(header)].hex(" ", -4)
        raise DataError(
            f"{path}: expected an idx file of unsigned bytes of shape {shape}, "
            f"which starts with {header.hex(' ', -4)}, but it starts with {found}"
        )
    values = np.frombuffer(content, np.uint8, offset=len(header))
    if values.size != math.prod(shape):
        more = " or more" if values.size > math.prod(shape) else ""
        raise DataError(
            f"{path}: expected {math.prod(shape)} values, shape {shape}, but it holds "
            f"{values.size}{more}"
        )
    files.check(path, content, checksum)
    return values.reshape(shape)


def _uncompressed(path: Path, size: int) -> bytes:
    """Return the uncompressed content of a file, at most `size` + 1 bytes."""
    content = files.read(path)
    if path.suffix not in _COMPRESSED:
        return content
    kind, opened = _COMPRESSED[path.suffix]
    try:
        with opened(io.BytesIO(content)) as file:
            return file.read(size + 1)  # reads past the last byte, so that the checksum is verified
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"{path} is not a complete {kind}-compressed file: {error}") from error
