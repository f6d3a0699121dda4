"""MNIST, which is part of the package, and Fashion-MNIST, which has the same format."""

from pathlib import Path

from experiments.data import fetch
from experiments.data.idx import read_idx
from experiments.data.images import SIDE, Images, Part

COUNTS: dict[Part, int] = {"train": 60_000, "test": 10_000}
_NAMES: dict[Part, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

MNIST_FOLDER = Path(__file__).parent / "mnist"
# SHA-256 of the uncompressed files of yann.lecun.com, as published by many projects.
_MNIST_CHECKSUMS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

_FASHION_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
# From tensorflow_datasets/url_checksums/fashion_mnist.txt of tensorflow/datasets. Files with these
# checksums have the MD5 in the README of zalandoresearch/fashion-mnist.
_FASHION_GZ_CHECKSUMS = {
    "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
# Of the same files uncompressed; Debian's recompressed dataset-fashion-mnist agrees.
FASHION_CHECKSUMS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

FASHION = {
    name: fetch.Source(
        "FashionMNIST",
        (f"{name}.gz", f"{name}.xz", name),
        f"{_FASHION_URL}/{name}.gz",
        f"sha256:{checksum}",
    )
    for name, checksum in _FASHION_GZ_CHECKSUMS.items()
}
"""The files of Fashion-MNIST, by name."""


def mnist(part: Part) -> Images:
    """Return a part of MNIST, from the package.

    Raises:
        DataError: A file is missing, truncated, corrupt or not the expected one.
    """
    images, labels = _NAMES[part]
    paths = MNIST_FOLDER / f"{images}.xz", MNIST_FOLDER / f"{labels}.xz"
    return _read(part, paths, (_MNIST_CHECKSUMS[images], _MNIST_CHECKSUMS[labels]))


def fashion_mnist(part: Part) -> Images:
    """Return a part of Fashion-MNIST, read from the user's folder or downloaded.

    Raises:
        DataError: A file is unavailable, truncated, corrupt or not the expected one.
    """
    images, labels = _NAMES[part]
    paths = fetch.locate(FASHION[images]), fetch.locate(FASHION[labels])
    return _read(part, paths, (FASHION_CHECKSUMS[images], FASHION_CHECKSUMS[labels]))


def _read(part: Part, paths: tuple[Path, Path], sha256: tuple[str, str]) -> Images:
    count = COUNTS[part]
    images = read_idx(paths[0], (count, SIDE, SIDE), f"sha256:{sha256[0]}")
    labels = read_idx(paths[1], (count,), f"sha256:{sha256[1]}")
    return Images(images, labels)
