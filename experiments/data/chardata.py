"""Omniglot in 28 x 28 pixels, as Burda et al. 2016 published it: chardata.mat of yburda/iwae.

The file was not at hand when this was written. What it holds is taken from code that reads it:
`data` `[784, 24345]` and `testdata` `[784, 8070]` are images in columns, numbers in [0, 1], each
image column by column as MATLAB keeps it (reshaped row by row it would lie on its side);
`target` `[50, 24345]` and `testtarget` `[50, 8070]` are one-hot alphabets. Every such fact is
checked.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data import fetch, files
from experiments.data.errors import DataError
from experiments.data.images import SIDE, Images, Part

_URL = "https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat"
# As enforced, at download from there, by ood_regularizer/experiment/datasets/omniglot.py of
# chenwenxiao/DOI and of chenwenxiao/wasserstein-ood-regularizer; nobody else publishes one.
_CHECKSUM = "md5:21ecaf34373511aa7691cf2e0802aa3d"
_COUNTS: dict[Part, int] = {"train": 24_345, "test": 8_070}
_VARIABLES: dict[Part, tuple[str, str]] = {
    "train": ("data", "target"),
    "test": ("testdata", "testtarget"),
}
_ALPHABETS = 50


def omniglot() -> dict[Part, Images]:
    """Return both parts of Omniglot, from the user's folder or downloaded.

    Raises:
        DataError: The file cannot be had, or is another one than expected.
    """
    path = fetch.locate("Omniglot", ["chardata.mat"], _URL, _CHECKSUM)
    return read_chardata(path, _COUNTS, _CHECKSUM)


def read_chardata(path: Path, counts: dict[Part, int], checksum: str) -> dict[Part, Images]:
    """Read chardata.mat, refusing any file but the expected one.

    Args:
        path: The file.
        counts: The number of images, N, that each part must hold.
        checksum: Of the file, `algorithm:hexadecimal`.

    Returns:
        For each part its upright images, grey values rounded to whole numbers of 0 to 255, and the
        alphabets, 0 to 49, as labels; read-only.

    Raises:
        DataError: The file cannot be read, or is truncated, corrupt or another one than expected.
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
