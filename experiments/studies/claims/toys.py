"""Toy problems of any function."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Categorical, Distribution
from experiments.problems import Params
from experiments.problems.toy import Toy


@dataclasses.dataclass(frozen=True, eq=False)
class CustomToy(Toy):
    """A toy problem with any f of Bernoulli or categorical variables, at any logits.

    Attributes:
        function: f, of one sample.
        at: the logits, `[D]` of bits or `[D, K]` of categorical variables.
    """

    function: Callable[[jax.Array], jax.Array]
    at: np.ndarray

    def __str__(self) -> str:
        """Return a description; f has no name."""
        return f"toy of logits {self.at.shape}"

    def logits(self) -> jax.Array:
        """Return the logits."""
        return jnp.asarray(self.at, jnp.float32)

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the variables."""
        family = Bernoulli if np.ndim(self.at) == 1 else Categorical
        return family(params["logits"])

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the function at the sample."""
        return self.function(sample)


LINEAR = CustomToy(lambda z: jnp.array([1.0, -2.0, 0.5]) @ z, np.array([1.0, -1.0, 2.0]))
"""A linear f of three bits."""
