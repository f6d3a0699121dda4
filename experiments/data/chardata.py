"""Omniglot in 28 x 28 pixels, as published by Burda et al. (2016): chardata.mat of yburda/iwae.

`data` `[784, 24345]` and `testdata` `[784, 8070]` hold an image in each column, with values in
[0, 1] and pixels in MATLAB's column-major order; `target` `[50, 24345]` and `testtarget`
`[50, 8070]` are one-hot alphabets. The file was unavailable when this was written; the layout is
taken from public code that reads it, and is verified in full.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data import fetch, files
from experiments.data.errors import DataError
from experiments.data.images import SIDE, Images, Part

SOURCE = fetch.Source(
    "Omniglot",
    ("chardata.mat",),
    "https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat",
    # From ood_regularizer/experiment/datasets/omniglot.py of chenwenxiao/DOI, which verifies its
    # download with it; yburda/iwae publishes no checksum.
    "md5:21ecaf34373511aa7691cf2e0802aa3d",
)
COUNTS: dict[Part, int] = {"train": 24_345, "test": 8_070}
_VARIABLES: dict[Part, tuple[str, str]] = {
    "train": ("data", "target"),
    "test": ("testdata", "testtarget"),
}
_ALPHABETS = 50


def omniglot() -> dict[Part, Images]:
    """Return both parts of Omniglot, read from the user's folder or downloaded.

    Raises:
        DataError: The file is unavailable, or not the expected one.
    """
    return read_chardata(fetch.locate(SOURCE), COUNTS, SOURCE.checksum)


def read_chardata(path: Path, counts: dict[Part, int], checksum: str) -> dict[Part, Images]:
    """Read chardata.mat, and verify it.

    Args:
        path: The file.
        counts: The expected number of images, N, of each part.
        checksum: Expected checksum, `algorithm:hexadecimal`.

    Returns:
        For each part its images, upright, with grey values rounded to integers from 0 to 255, and
        the alphabets, 0 to 49, as labels; read-only.

    Raises:
        DataError: The file is unreadable, truncated, corrupt or not the expected one.
    """
    from scipy.io import loadmat

    content = files.read(path)
    files.check(path, content, checksum)
    variables = loadmat(io.BytesIO(content))
    return {part: _part(path, variables, part, counts[part]) for part in counts}


def _part(path: Path, variables: dict[str, Any], part: Part, count: int) -> Images:
    name, target = _VARIABLES[part]
    grey = _variable(path, variables, name, (SIDE * SIDE, count))
    if not (grey.dtype.kind == "f" and grey.min() >= 0 and grey.max() <= 1):
        found = f"{grey.dtype} from {grey.min()} to {grey.max()}"
        raise DataError(f"{path}: expected {name} to be floating, from 0 to 1, but it is {found}")
    one_hot = _variable(path, variables, target, (_ALPHABETS, count))
    if not ((one_hot.sum(0) == 1) & (one_hot.max(0) == 1)).all():
        raise DataError(f"{path}: expected each column of {target} to be one-hot, but some are not")
    upright = grey.T.reshape(count, SIDE, SIDE).swapaxes(1, 2)
    images = np.ascontiguousarray(np.rint(255 * upright).astype(np.uint8))
    labels = one_hot.argmax(0).astype(np.uint8)
    images.flags.writeable = labels.flags.writeable = False
    return Images(images, labels)


def _variable(
    path: Path, variables: dict[str, Any], name: str, shape: tuple[int, ...]
) -> npt.NDArray:
    if (value := variables.get(name)) is None:
        found = ", ".join(key for key in variables if not key.startswith("__"))
        raise DataError(f"{path}: expected a variable {name} of shape {shape}, but found {found}")
    if value.shape != shape:
        raise DataError(f"{path}: expected {name} of shape {shape}, but it is {value.shape}")
    return value
