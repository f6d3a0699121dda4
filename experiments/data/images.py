"""MNIST, and how grey images become the vectors that models are trained on."""

import functools
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from experiments.data.idx import read_idx

Split = Literal["train", "test"]
Binarisation = Literal["threshold", "real", "stochastic"]

_MNIST = Path(__file__).parent / "mnist"
# Prefix of the files, number of examples, SHA-256 of the uncompressed images and labels.
_MNIST_FILES = {
    "train": (
        "train",
        60_000,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "test": (
        "t10k",
        10_000,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


@functools.cache
def load_mnist(split: Split) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Load the MNIST that comes with the package, once per process.

    Args:
        split: "train" (60,000 examples) or "test" (10,000).

    Returns:
        Read-only uint8 arrays: images `[N, 28, 28]` and labels `[N]`.

    Raises:
        ValueError: The split is unknown, or a file is truncated, corrupt or another one.
    """
    if split not in _MNIST_FILES:
        raise ValueError(f"split must be one of {', '.join(_MNIST_FILES)}, not {split!r}")
    prefix, size, images_sha256, labels_sha256 = _MNIST_FILES[split]
    images = read_idx(_MNIST / f"{prefix}-images-idx3-ubyte.xz", (size, 28, 28), images_sha256)
    labels = read_idx(_MNIST / f"{prefix}-labels-idx1-ubyte.xz", (size,), labels_sha256)
    return images, labels


def binarise(
    images: npt.NDArray[np.uint8], how: Binarisation, seed: int | None = None
) -> npt.NDArray[np.float32]:
    """Turn grey images into vectors of pixels in [0, 1].

    Args:
        images: uint8 `[N, height, width]`, from 0 (black) to 255 (white).
        how: "threshold" gives 1 where a pixel exceeds 127; "real" gives pixel / 255; "stochastic"
            draws every pixel once from Bernoulli(pixel / 255).
        seed: The seed of `numpy.random.default_rng`, for "stochastic" only.

    Returns:
        float32 `[N, height * width]`.

    Raises:
        ValueError: `how` is unknown, a seed is missing or superfluous, or the images are not uint8
            of rank 3.
    """
    if how not in (choices := get_args(Binarisation)):
        raise ValueError(f"how must be one of {', '.join(choices)}, not {how!r}")
    if (seed is not None) != (how == "stochastic"):
        raise ValueError(f"a seed belongs to stochastic and only to it: {how!r} with seed {seed}")
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(
            f"images must be uint8 [N, height, width], not {images.dtype} {list(images.shape)}"
        )
    pixels = images.reshape(len(images), -1)
    if how == "real":
        return np.divide(pixels, 255, dtype=np.float32)
    if how == "threshold":
        return (pixels > 127).astype(np.float32)
    # Uniform on 0 .. 254, so that a pixel x becomes 1 with probability exactly x / 255.
    noise = np.random.default_rng(seed).integers(255, size=pixels.shape, dtype=np.uint8)
    return (noise < pixels).astype(np.float32)
