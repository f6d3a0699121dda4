"""The static binarisation of MNIST by Larochelle and Murray (2011), from the user's files.

In most papers, "static" or "fixed" MNIST means their three files, in which every pixel was drawn
once. They have no labels.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.data import fetch, files
from experiments.data.errors import DataError
from experiments.data.images import PIXELS, Split

COUNTS: dict[Split, int] = {"train": 50_000, "validation": 10_000, "test": 10_000}
_NAMES: dict[Split, str] = {
    "train": "binarized_mnist_train.amat",
    "validation": "binarized_mnist_valid.amat",
    "test": "binarized_mnist_test.amat",
}
# From tensorflow_datasets/url_checksums/binarized_mnist.txt of tensorflow/datasets, for
# http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/.
CHECKSUMS: dict[Split, str] = {
    "train": "sha256:ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "validation": "sha256:1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "test": "sha256:e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}


def published(split: Split) -> npt.NDArray[np.uint8]:
    """Return a split of the published static binarisation, read from the user's folder.

    Returns:
        Zeros and ones, read-only uint8 `[N, 784]`.

    Raises:
        DataError: The file is missing, unreadable or not the published one.
    """
    name = _NAMES[split]
    if (path := fetch.in_folder("MNIST", [name])) is None:
        raise DataError(
            f"the published binarisation of MNIST needs {name}, which was not found; "
            f"{fetch.BY_FOLDER}"
        )
    return read_amat(path, COUNTS[split], CHECKSUMS[split])


def read_amat(path: Path, count: int, checksum: str) -> npt.NDArray[np.uint8]:
    """Read lines of 784 zeros and ones separated by spaces, and verify the file.

    Args:
        path: The file.
        count: The expected number of lines, N.
        checksum: Expected checksum, `algorithm:hexadecimal`.

    Returns:
        Zeros and ones, read-only uint8 `[N, 784]`.

    Raises:
        DataError: The file is unreadable, truncated, corrupt or not the expected one.
    """
    content = files.read(path)
    files.check(path, content, checksum)
    characters = np.frombuffer(content, np.uint8)
    bits = characters[(characters == ord("0")) | (characters == ord("1"))] - ord("0")
    if bits.size != count * PIXELS:
        raise DataError(
            f"{path}: expected {count} lines of {PIXELS} zeros and ones, {count * PIXELS} in all, "
            f"but found {bits.size}"
        )
    bits.flags.writeable = False
    return bits.reshape(count, PIXELS)
