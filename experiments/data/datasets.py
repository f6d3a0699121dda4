"""The data sets, split into training, validation and test images."""

import functools
from collections.abc import Collection, Mapping
from typing import get_args

from experiments.data import chardata, fetch, mnist_family
from experiments.data.chardata import omniglot
from experiments.data.errors import DataError
from experiments.data.images import Dataset, Images, Part, Split
from experiments.data.mnist_family import fashion_mnist, mnist
from experiments.system.text import nearest

# Number of images at the end of the training file that form the validation split, as in
# google-research/disarm. (Burda et al. 2016 and Grathwohl et al. 2018 shuffle Omniglot's first.)
_VALIDATION: dict[Dataset, int] = {"MNIST": 10_000, "FashionMNIST": 10_000, "Omniglot": 1_345}

SOURCES: Mapping[Dataset, Collection[fetch.Source]] = {
    "MNIST": (),
    "FashionMNIST": mnist_family.FASHION.values(),
    "Omniglot": (chardata.SOURCE,),
}
"""The files of each data set that are not part of the package."""


@functools.cache
def load(dataset: Dataset, split: Split) -> Images:
    """Load a split of a data set, cached per process.

    Args:
        dataset: "MNIST" is part of the package; "FashionMNIST" and "Omniglot" are read from the
            user's folder or downloaded once.
        split: "train", "validation" and "test" hold 50,000, 10,000 and 10,000 images of MNIST and
            FashionMNIST, and 23,000, 1,345 and 8,070 of Omniglot.

    Returns:
        The images and their classes.

    Raises:
        DataError: The data set or the split is unknown, or a file is missing, truncated, corrupt or
            not the expected one.
    """
    check("dataset", dataset, get_args(Dataset))
    check("split", split, get_args(Split))
    if split == "test":
        return load_part(dataset, "test")
    images, labels = load_part(dataset, "train")
    cut = len(labels) - _VALIDATION[dataset]
    chosen = slice(cut) if split == "train" else slice(cut, None)
    return Images(images[chosen], labels[chosen])


@functools.cache
def load_part(dataset: Dataset, part: Part) -> Images:
    """Load a part of a data set as published, cached per process.

    Raises:
        DataError: A file is missing, truncated, corrupt or not the expected one.
    """
    match dataset:
        case "MNIST":
            return mnist(part)
        case "FashionMNIST":
            return fashion_mnist(part)
        case "Omniglot":
            return _omniglot()[part]


_omniglot = functools.cache(omniglot)  # one file holds both parts


def check(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise DataError if a value is not one of the choices."""
    if value not in choices:
        near = nearest(value, choices)
        raise DataError(f"{name} must be one of {', '.join(choices)}, not {value!r}{near}")
