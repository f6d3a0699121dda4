"""Fixed binarisation: every pixel is drawn once, and the bits are cached."""

import numpy as np
import numpy.typing as npt

from experiments.data import bits
from experiments.data.datasets import load
from experiments.data.images import Dataset, Split
from experiments.system import paths

SEED = 0
"""Seed of the draw."""

_STREAM: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}


def fixed(dataset: Dataset, split: Split, seed: int = SEED) -> npt.NDArray[np.uint8]:
    """Return a split with every pixel x drawn once from Bernoulli(x / 255).

    The first call writes the bits to the cache folder; later calls, in any process, read them from
    there, so that they do not depend on NumPy's version.

    Args:
        dataset: The data set.
        split: The split; each has its own random stream.
        seed: Seed of `numpy.random.default_rng`.

    Returns:
        Zeros and ones, read-only uint8 `[N, 784]`.

    Raises:
        DataError: The data set is unavailable, or the cached bits cannot be written or read, or
            are damaged.
    """
    path = paths.cache() / dataset / f"{split}-fixed-seed{seed}.bits"
    title = f"{dataset}, {split}, fixed binarisation, seed {seed}"
    if not path.exists():
        bits.write(path, title, draw(load(dataset, split).images, (seed, _STREAM[split])))
    return bits.read(path, title)


def draw(images: npt.NDArray[np.uint8], seed: int | tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Draw every pixel x from Bernoulli(x / 255), exactly.

    Args:
        images: Grey values, uint8 `[N, ...]`.
        seed: Seed of `numpy.random.default_rng`.

    Returns:
        Zeros and ones, uint8 `[N, P]`, for images of P pixels.
    """
    grey = images.reshape(len(images), -1)
    # Uniform on 0 .. 254, so that a pixel x becomes 1 with probability exactly x / 255.
    noise = np.random.default_rng(seed).integers(255, size=grey.shape, dtype=np.uint8)
    return (noise < grey).view(np.uint8)
