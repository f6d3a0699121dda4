"""A layer of stochastic units: its family, its size, and how a sample enters a network."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Categorical, Distribution, Estimator, Normal

Family = Literal["Bernoulli", "Categorical", "Normal"]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of `size` variables of a family, categorical ones with `classes` classes."""

    family: Family
    size: int
    classes: int

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (self.size, self.classes) if self.family == "Categorical" else (self.size,)

    @property
    def num_units(self) -> int:
        """Number of inputs that a sample is to the next network."""
        return int(np.prod(self.event_shape))

    @property
    def num_logits(self) -> int:
        """Number of outputs of the network that gives the distribution."""
        return self.num_units * (2 if self.family == "Normal" else 1)

    def distribution(self, logits: jax.Array) -> Distribution:
        """Return the layer's distribution from a network's output `[num_logits]`."""
        if self.family == "Normal":
            return Normal(*jnp.split(logits, 2))
        family = Bernoulli if self.family == "Bernoulli" else Categorical
        return family(logits.reshape(self.event_shape))

    def code(self, sample: jax.Array) -> jax.Array:
        r"""Return what of a sample enters a network: bits as $\pm 1$ (Tucker et al. 2017)."""
        return 2 * sample - 1 if self.family == "Bernoulli" else sample.ravel()


def evaluations(estimator: Estimator, distribution: Distribution, depth: int) -> int:
    """Return the evaluations of the innermost f of `depth` nested calls over equal layers.

    A continuous pass of an outer layer evaluates it once, whatever is below; every other
    evaluation is a whole estimate of the layer below.
    """
    passes, count = estimator.continuous_passes, 1
    for _ in range(depth):
        count = (estimator.evaluations(distribution) - passes) * count + passes
    return count
