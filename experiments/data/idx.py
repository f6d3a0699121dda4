"""The idx format of the MNIST family."""

import hashlib
import lzma
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, shape: tuple[int, ...], sha256: str) -> npt.NDArray[np.uint8]:
    """Read an xz-compressed idx file of unsigned bytes, refusing any but the expected one.

    Args:
        path: The compressed file.
        shape: The shape that the file must hold.
        sha256: The hexadecimal SHA-256 of the uncompressed file.

    Returns:
        A read-only uint8 array of that shape.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is truncated, corrupt or another one than expected.
    """
    try:
        content = lzma.decompress(path.read_bytes())
    except lzma.LZMAError as error:
        raise ValueError(f"{path}: expected a whole xz-compressed file: {error}") from error
    header = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    header += b"".join(size.to_bytes(4, "big") for size in shape)
    if not content.startswith(header):
        found = content[: len(header)].hex(" ", -4)
        raise ValueError(
            f"{path}: expected an idx file of unsigned bytes of shape {shape}, "
            f"which starts with {header.hex(' ', -4)}, but it starts with {found}"
        )
    values = np.frombuffer(content, np.uint8, offset=len(header))
    if values.size != math.prod(shape):
        raise ValueError(
            f"{path}: expected {math.prod(shape)} values, shape {shape}, but it holds {values.size}"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(f"{path}: expected uncompressed SHA-256 {sha256}, but it has {digest}")
    return values.reshape(shape)
