"""Files of bits in the cache folder, verified when they are read."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.data import files
from experiments.data.errors import DataError
from experiments.data.images import PIXELS


def write(path: Path, title: str, bits: npt.NDArray[np.uint8]) -> None:
    """Write zeros and ones, uint8 `[N, 784]`.

    Raises:
        DataError: The file cannot be written.
    """
    packed = np.packbits(bits).tobytes()
    files.write(path, _header(title, packed) + packed)


def read(path: Path, title: str) -> npt.NDArray[np.uint8]:
    """Return the bits written with a title, read-only.

    Raises:
        DataError: The file cannot be read, is damaged or has another title.
    """
    header, newline, packed = files.read(path).partition(b"\n")
    if header + newline != _header(title, packed):
        raise DataError(
            f"{path}: expected the bits of {title}, with their SHA-256, but the file is damaged or "
            "a different one; delete it to recreate it"
        )
    bits = np.unpackbits(np.frombuffer(packed, np.uint8)).reshape(-1, PIXELS)
    bits.flags.writeable = False
    return bits


def _header(title: str, packed: bytes) -> bytes:
    size = f"{8 * len(packed) // PIXELS} x {PIXELS}"
    return f"estimax: {title}, {size} bits, SHA-256 {hashlib.sha256(packed).hexdigest()}\n".encode()
