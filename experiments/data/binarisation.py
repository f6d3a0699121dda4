"""Binarisation: from grey images to the vectors that models are trained on."""

import functools
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from experiments.data.amat import published
from experiments.data.datasets import check, load
from experiments.data.errors import DataError
from experiments.data.fixed import SEED, fixed
from experiments.data.images import PIXELS, Dataset, Split
from experiments.data.threshold import threshold

Binarisation = Literal["threshold", "fixed", "published", "dynamic", "real"]


@functools.cache
def pixels(dataset: Dataset, split: Split, binarisation: Binarisation) -> npt.NDArray[np.uint8]:
    """Return the images of a split as vectors, cached per process.

    Args:
        dataset: Name of the data set, as for `load`.
        split: Name of the split, as for `load`.
        binarisation: "threshold" gives 1 if a grey value exceeds 127; "fixed" draws every pixel
            x from Bernoulli(x / 255) once and keeps the draw; "published" is the draw of MNIST by
            Larochelle and Murray (2011), read from the user's files. "dynamic" and "real" give the
            grey values: the caller samples from them in every minibatch, or divides them by 255.

    Returns:
        Zeros and ones, or grey values from 0 to 255: read-only uint8 `[N, 784]`.

    Raises:
        DataError: A name is unknown, the data set has no such binarisation, or a file is missing,
            truncated, corrupt or not the expected one.
    """
    _check(dataset, binarisation)
    check("split", split, get_args(Split))
    if binarisation == "published":
        return published(split)
    if binarisation == "fixed":
        return fixed(dataset, split)
    if binarisation == "threshold":
        return threshold(dataset, split)
    return load(dataset, split).images.reshape(-1, PIXELS)


def describe(dataset: Dataset, binarisation: Binarisation) -> str:
    """Return a description of a data set and its binarisation, for tables.

    Raises:
        DataError: A name is unknown, or the data set has no such binarisation.
    """
    _check(dataset, binarisation)
    # Papers call the published file "fixed" or "static" too.
    other = "; not the published static file" if dataset == "MNIST" else ""
    words = {
        "threshold": "binarised by threshold (1 above 127 of 255)",
        "fixed": f"fixed binarisation (seed {SEED}{other})",
        "published": "published static binarisation (Larochelle and Murray 2011)",
        "dynamic": "dynamic binarisation (drawn anew in every minibatch)",
        "real": "grey values",
    }
    return f"{dataset}, {words[binarisation]}"


def _check(dataset: Dataset, binarisation: Binarisation) -> None:
    check("dataset", dataset, get_args(Dataset))
    check("binarisation", binarisation, get_args(Binarisation))
    if binarisation == "published" and dataset != "MNIST":
        raise DataError(f"the published binarisation exists for MNIST only, not for {dataset}")
