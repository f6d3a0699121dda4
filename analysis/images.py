"""Reading of untrusted PNG files, with checks of integrity and size."""

import os
import zlib

from analysis.files import read_plain

_MOST_BYTES = 2**25
_MOST_PIXELS = 10**8  # the browser must decode it
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_png(path: str | os.PathLike) -> bytes:
    """Return the content of a PNG file.

    Raises:
        ValueError: if it is not a regular file, not a PNG, damaged or too large; the message
            names the file.
        OSError: if it is missing or cannot be read.
    """
    content = read_plain(path, _MOST_BYTES)
    try:
        _check(content)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} is not a valid PNG file: {error}") from error
    return content


def _check(content: bytes) -> None:
    """Raise ValueError if a checksum does not match or the image is too large."""
    if not content.startswith(_SIGNATURE):
        raise ValueError("it has no PNG signature")
    place, kinds = len(_SIGNATURE), []
    while place < len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : end - 4]
        if end > len(content) or zlib.crc32(body) != int.from_bytes(content[end - 4 : end], "big"):
            raise ValueError("it is damaged")
        kinds.append(body[:4])
        if len(kinds) == 1:
            width, height = (int.from_bytes(body[i : i + 4], "big") for i in (4, 8))
            if kinds != [b"IHDR"] or not 0 < width * height <= _MOST_PIXELS:
                raise ValueError(f"its header states {width} x {height} pixels")
        place = end
    if b"IDAT" not in kinds or kinds[-1] != b"IEND":
        raise ValueError("it is truncated")
