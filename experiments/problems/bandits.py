"""Toy problems of reinforcement learning: one action, and a reward to maximise."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from estimators import Bernoulli, Categorical, Distribution, Estimator
from estimators.checks import check_finite
from experiments.problems.problem import Params
from experiments.problems.toy import Toy


@dataclasses.dataclass(frozen=True)
class Bandit(Toy):
    """One action of four, with the rewards 1, 0.2, -0.7 and 0; f is the negative reward."""

    def logits(self) -> jax.Array:
        """Return the logits of the policy."""
        return jnp.array([0.1, -0.5, 0.9, 0.3])

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the action."""
        return Categorical(params["logits"])

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the negative reward."""
        return -sample @ jnp.array([1.0, 0.2, -0.7, 0.0])


@dataclasses.dataclass(frozen=True)
class TwoContexts(Toy):
    r"""Two contexts with a success or a failure each, $\frac12 \sum_i E[-b_i]$.

    A policy has one logit per context. Baselines that divide by a standard deviation scale the
    gradient of each context by a factor of its own, which changes the direction of the whole.

    Args:
        first: the logit of success in the first context, with probability 0.5 by default.
        second: that in the second, 0.9 by default.
    """

    first: float = 0.0
    second: float = 2.2

    def logits(self) -> jax.Array:
        """Return the logits of success, one per context."""
        return jnp.array([self.first, self.second])

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the outcome in the first context."""
        return Bernoulli(params["logits"][:1])

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the negative reward."""
        return -sample.sum()

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean estimate over the contexts; `key` is consumed."""
        logits = params["logits"]

        def context(key: jax.Array, logit: jax.Array) -> jax.Array:
            return estimator(key, Bernoulli(logit[None]), lambda z: self.f(logits, z))

        return jax.vmap(context)(jax.random.split(key, 2), logits).mean()

    def check(self) -> None:
        """Raise unless both logits are finite."""
        check_finite("TwoContexts first", self.first)
        check_finite("TwoContexts second", self.second)
