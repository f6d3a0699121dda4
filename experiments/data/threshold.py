"""Threshold binarisation: a pixel is 1 if its grey value exceeds 127."""

import contextlib

import numpy as np
import numpy.typing as npt

from experiments.data import bits
from experiments.data.datasets import load
from experiments.data.errors import DataError
from experiments.data.images import PIXELS, Dataset, Split
from experiments.system import paths

GREY = 127
"""The largest grey value that becomes 0."""


def threshold(dataset: Dataset, split: Split) -> npt.NDArray[np.uint8]:
    """Return the bits of a split.

    They are kept in the cache folder, if it can be written: reading them takes a tenth of the time
    of decompressing the images.

    Args:
        dataset: The data set.
        split: The split.

    Returns:
        Zeros and ones, read-only uint8 `[N, 784]`.

    Raises:
        DataError: The data set is unavailable.
    """
    path = paths.cache() / dataset / f"{split}-threshold{GREY}.bits"
    title = f"{dataset}, {split}, 1 above {GREY}"
    with contextlib.suppress(DataError):
        return bits.read(path, title)
    found = (load(dataset, split).images.reshape(-1, PIXELS) > GREY).view(np.uint8)
    with contextlib.suppress(DataError):
        bits.write(path, title, found)
    found.flags.writeable = False
    return found
