"""Base class of problems on grey images with labels: the data set and its minibatches."""

import dataclasses
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from estimators.checks import check_choice, check_count
from experiments import data as data_sets
from experiments.data import Split
from experiments.problems.problem import Problem

Labelled = Literal["MNIST", "FashionMNIST"]
"""The data sets whose labels are ten classes."""

LABELS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledImages(Problem):
    """A problem whose examples are grey images `[784]` in [0, 1] with labels from 0 to 9.

    Args:
        dataset: "MNIST" or "FashionMNIST".
        batch_size: images in a minibatch, drawn with replacement.
    """

    trainable = True

    dataset: Labelled = "MNIST"
    batch_size: int = 100

    @property
    def about_data(self) -> str:
        """The data set, and that its values are grey."""
        return data_sets.describe(self.dataset, "real")

    def data(self, split: Split = "train") -> dict[str, Any]:
        """Return a split's `images`, uint8 `[N, 784]`, and `labels`, int32 `[N]`."""
        labels = data_sets.load(self.dataset, split).labels.astype(np.int32)
        return {"images": data_sets.pixels(self.dataset, split, "real"), "labels": labels}

    def batch(self, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return `batch_size` examples drawn with replacement; `key` is consumed."""
        chosen = jax.random.randint(key, (self.batch_size,), 0, len(data["images"]))
        return self.examples(jax.tree.map(lambda array: jnp.asarray(array)[chosen], data))

    def examples(self, data: Any) -> dict[str, jax.Array]:
        """Return a split as models see it: `images` float32 `[N, 784]` in [0, 1], and `labels`."""
        grey = jnp.asarray(data["images"]).astype(jnp.float32) / 255
        return {"images": grey, "labels": jnp.asarray(data["labels"])}

    def check(self) -> None:
        """Raise if a setting is out of range."""
        name = type(self).__name__
        check_choice(f"{name} dataset", self.dataset, get_args(Labelled))
        check_count(f"{name} batch_size", self.batch_size, 1)
