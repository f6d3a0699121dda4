"""What an image data set is."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Dataset = Literal["MNIST", "FashionMNIST", "Omniglot"]
Split = Literal["train", "validation", "test"]
Part = Literal["train", "test"]
"""A part as its publisher divided it: "train" holds our training and validation images."""

SIDE = 28
PIXELS = SIDE * SIDE


class Images(NamedTuple):
    """Images and their classes.

    Attributes:
        images: Grey values from 0 (black) to 255 (white), read-only uint8 `[N, 28, 28]`.
        labels: Classes from 0, read-only uint8 `[N]`; of Omniglot the alphabets.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
