"""Types and sizes of the image data sets."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Dataset = Literal["MNIST", "FashionMNIST", "Omniglot"]
Split = Literal["train", "validation", "test"]
Part = Literal["train", "test"]
"""A part as published: "train" holds the training and the validation split."""

SIDE = 28
PIXELS = SIDE * SIDE


class Images(NamedTuple):
    """Images and their labels.

    Attributes:
        images: Grey values from 0 (black) to 255 (white), read-only uint8 `[N, 28, 28]`.
        labels: Classes from 0, read-only uint8 `[N]`; for Omniglot the alphabets.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
