"""Base class of problems on images: the data set, its binarisation, minibatches."""

import dataclasses
import functools
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from estimators.checks import check_choice, check_count
from experiments import data as data_sets
from experiments.data import Binarisation, Dataset, Split
from experiments.data.images import PIXELS as PIXELS
from experiments.data.images import SIDE as SIDE
from experiments.problems.problem import EvaluatedProblem


@functools.cache
def mean_image(dataset: Dataset, binarisation: Binarisation) -> np.ndarray:
    """Return the mean training image, float32 `[784]` in [0, 1]."""
    pixels = data_sets.pixels(dataset, "train", binarisation)
    scale = 255 if _is_grey(binarisation) else 1
    return (pixels.mean(0, dtype=np.float64) / scale).astype(np.float32)


@functools.cache
def _all_for_training(dataset: Dataset, binarisation: Binarisation) -> np.ndarray:
    """Return the training and the validation images, uint8 `[N, 784]`."""
    parts: tuple[Split, Split] = ("train", "validation")
    return np.concatenate([data_sets.pixels(dataset, part, binarisation) for part in parts])


def log_odds(image: np.ndarray) -> jax.Array:
    """Return the logits of a mean image, clipped away from 0 and 1: the pixels' initial bias."""
    kept = np.clip(image, 0.001, 0.999)
    # scipy.special.logit differs in the last bits, which would change every trained number.
    return jnp.asarray(np.log(kept / (1 - kept)), jnp.float32)


def _is_grey(binarisation: Binarisation) -> bool:
    return binarisation in ("dynamic", "real")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageProblem(EvaluatedProblem):
    """A problem whose examples are images of 784 pixels.

    Args:
        dataset: "MNIST", "FashionMNIST" or "Omniglot".
        binarisation: conversion of grey pixels to targets. "threshold": above one half; "fixed":
            drawn once, from a seed; "published": the static file of MNIST that papers share;
            "dynamic": drawn anew for every minibatch; "real": the grey values, as
            probabilities.
        batch_size: images in a minibatch, drawn with replacement.
        held_out: whether training leaves out the validation images. If not, all 60,000 published
            training images of MNIST are trained on, and validation is on some of them.
    """

    trainable = True

    dataset: Dataset = "MNIST"
    binarisation: Binarisation = "threshold"
    batch_size: int = 100
    held_out: bool = True

    @property
    def about_data(self) -> str:
        """The data set and its binarisation."""
        found = data_sets.describe(self.dataset, self.binarisation)
        return found if self.held_out else f"{found}, trained on validation images too"

    @property
    def mean_image(self) -> np.ndarray:
        """The mean training image, `[784]`, subtracted from inputs."""
        return mean_image(self.dataset, self.binarisation)

    def data(self, split: Split = "train") -> Any:
        """Return the images of a split, uint8 `[N, 784]`: bits, or grey values to 255."""
        if split == "train" and not self.held_out:
            return _all_for_training(self.dataset, self.binarisation)
        return data_sets.pixels(self.dataset, split, self.binarisation)

    def batch(self, key: jax.Array, data: Any) -> Any:
        """Return `[batch_size, 784]` images drawn with replacement; `key` is consumed."""
        which, bits = jax.random.split(key)
        chosen = jax.random.randint(which, (self.batch_size,), 0, len(data))
        return self.examples(bits, jnp.asarray(data)[chosen])

    def examples(self, key: jax.Array, data: Any) -> Any:
        """Return images as models see them, float32 `[N, 784]` in [0, 1]; `key` is consumed."""
        images = jnp.asarray(data).astype(jnp.float32)
        if not _is_grey(self.binarisation):
            return images
        if self.binarisation == "real":
            return images / 255
        # Uniform integers up to 254, so that pixel x becomes 1 with probability exactly x / 255.
        noise = jax.random.randint(key, images.shape, 0, 255, jnp.int32)
        return (noise < data.astype(jnp.int32)).astype(jnp.float32)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        name = type(self).__name__
        check_choice(f"{name} dataset", self.dataset, get_args(Dataset))
        check_choice(f"{name} binarisation", self.binarisation, get_args(Binarisation))
        check_count(f"{name} batch_size", self.batch_size, 1)
        check_choice(f"{name} held_out", self.held_out, (True, False))
