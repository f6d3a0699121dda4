"""The idx format of the MNIST family."""

import gzip
import lzma
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.data import files
from experiments.data.errors import DataError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, shape: tuple[int, ...], checksum: str) -> npt.NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, refusing any but the expected one.

    Args:
        path: The file; compressed where its name ends in .xz or .gz.
        shape: The shape that the file must hold.
        checksum: Of the uncompressed file, `algorithm:hexadecimal`.

    Returns:
        A read-only uint8 array of that shape.

    Raises:
        DataError: The file cannot be read, or is truncated, corrupt or another one than expected.
    """
    content = _uncompressed(path)
    header = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    header += b"".join(size.to_bytes(4, "big") for size in shape)
    if not content.startswith(header):
        found = content[: len(header)].hex(" ", -4)
        raise DataError(
            f"{path}: expected an idx file of unsigned bytes of shape {shape}, "
            f"which starts with {header.hex(' ', -4)}, but it starts with {found}"
        )
    values = np.frombuffer(content, np.uint8, offset=len(header))
    if values.size != math.prod(shape):
        raise DataError(
            f"{path}: expected {math.prod(shape)} values, shape {shape}, but it holds {values.size}"
        )
    files.check(path, content, checksum)
    return values.reshape(shape)


def _uncompressed(path: Path) -> bytes:
    content = files.read(path)
    try:
        if path.suffix == ".xz":
            return lzma.decompress(content)
        if path.suffix == ".gz":
            return gzip.decompress(content)
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        kind = {".xz": "xz", ".gz": "gzip"}[path.suffix]
        raise DataError(f"{path}: expected a whole {kind}-compressed file: {error}") from error
    return content
