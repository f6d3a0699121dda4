"""A layer of stochastic units: its family, its size, and how a sample enters a network."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Categorical, Discrete, Distribution, Estimator, Normal

Family = Literal["Bernoulli", "Categorical", "Normal"]
Coding = Literal["one-hot", "corners", "number"]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of `size` variables of a family, categorical ones with `classes` classes.

    A categorical sample enters a network one-hot or, with `corners` coding, as a corner of a
    hypercube: log2 K numbers for K classes; or, with `number`, as the number of its class, divided
    by K - 1.
    """

    family: Family
    size: int
    classes: int
    coding: Coding = "one-hot"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (self.size, self.classes) if self.family == "Categorical" else (self.size,)

    @property
    def num_units(self) -> int:
        """Number of inputs of the next network."""
        if self.family == "Categorical" and self.coding != "one-hot":
            return self.size * _CODES[self.coding](self.classes).shape[1]
        return int(np.prod(self.event_shape))

    @property
    def num_logits(self) -> int:
        """Number of outputs of the network that parametrises the distribution."""
        return int(np.prod(self.event_shape)) * (2 if self.family == "Normal" else 1)

    def distribution(self, logits: jax.Array) -> Discrete | Normal:
        """Return the layer's distribution from a network's output `[num_logits]`."""
        if self.family == "Normal":
            return Normal(*jnp.split(logits, 2))
        family = Bernoulli if self.family == "Bernoulli" else Categorical
        return family(logits.reshape(self.event_shape))

    def code(self, sample: jax.Array) -> jax.Array:
        r"""Return a sample as input of a network: bits as $\pm 1$ (Tucker et al. 2017)."""
        if self.family == "Bernoulli":
            return 2 * sample - 1
        if self.family == "Categorical" and self.coding != "one-hot":
            return (sample @ _CODES[self.coding](self.classes)).ravel()
        return sample.ravel()

    def likeliest(self, logits: jax.Array) -> jax.Array:
        """Return the most likely sample, given a network's output."""
        distribution = self.distribution(logits)
        if isinstance(distribution, Normal):
            return distribution.mean
        return distribution.hard(distribution.logits)

    def variations(self, sample: jax.Array) -> jax.Array:
        """Return a sample with one variable changed, `[variables, values, *event_shape]`.

        A bit is flipped, a categorical variable runs through its classes, a normal one from -2 to
        2.
        """
        if self.family == "Bernoulli":
            values = 1 - sample[:, None]
        else:
            walk = jnp.eye(self.classes) if self.family == "Categorical" else jnp.arange(-2.0, 3.0)
            values = jnp.broadcast_to(walk, (self.size, *walk.shape))

        def changed(place, values):
            return jax.vmap(sample.at[place].set)(values)

        return jax.vmap(changed)(jnp.arange(self.size), values)


@functools.cache
def _corners(classes: int) -> np.ndarray:
    r"""Return the corners of a hypercube, float32 `[classes, log2 classes]` of $\pm 1$."""
    bits = np.arange(classes)[:, None] >> np.arange(classes.bit_length() - 1) & 1
    return (2 * bits - 1).astype(np.float32)


def _numbers(classes: int) -> np.ndarray:
    """Return the numbers of the classes over the largest, float32 `[classes, 1]` in [0, 1]."""
    return np.linspace(0, 1, classes, dtype=np.float32)[:, None]


_CODES: dict[Coding, Callable[[int], np.ndarray]] = {"corners": _corners, "number": _numbers}


def evaluations(estimator: Estimator, distribution: Distribution, depth: int) -> int:
    """Return the evaluations of the innermost f of `depth` nested calls over equal layers.

    A continuous pass of an outer layer evaluates the innermost f once; every other evaluation is a
    full estimate of the layer below.
    """
    passes, count = estimator.continuous_passes, 1
    for _ in range(depth):
        count = (estimator.evaluations(distribution) - passes) * count + passes
    return count
