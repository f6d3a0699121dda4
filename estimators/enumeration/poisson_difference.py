"""The exact derivative of a Poisson expectation, as a difference of f at neighbouring counts."""

import dataclasses
import math
from typing import Literal, Self

import jax
import jax.numpy as jnp

from estimators.core.estimator import Estimator
from estimators.core.evaluate import evaluate_all
from estimators.core.gradients import attach_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_choice
from estimators.distributions.poisson import Poisson


@pytree
class PoissonDifference(Estimator[Poisson, Objective]):
    r"""Differences of f at a sample and where one of its counts is one larger, or smaller.

    With the unit vectors $e_i$, for every f, differentiable or not,

    $$\frac{\partial}{\partial \eta_i} E f(x) = E[\lambda_i (f(x + e_i) - f(x))] = E[x_i (f(x) -
    f(x - e_i))].$$

    Both differences, "up" and "down", are unbiased. One count moves at a time, the others being
    kept, at the cost of an evaluation each: moving all of them at once would be cheaper, and biased
    unless f is a sum over the counts. "down" is "up" times a random weight, so usually noisier; it
    never leaves the counts that were drawn behind, for an f with a largest count.

    Args:
        direction: "up" or "down".
    """

    direction: Literal["up", "down"] = static(default="up")

    unbiased = "yes"
    paper = ""

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants in both directions."""
        return (cls("up"), cls("down"))

    def evaluations(self, distribution: Poisson) -> int:
        """One evaluation at the sample, and one beside it for each variable."""
        return 1 + math.prod(distribution.event_shape)

    def estimate(self, key: jax.Array, distribution: Poisson, f: Objective) -> jax.Array:
        """Return f at the sample, with the weighted differences attached."""
        sample = distribution.sample(key)
        size, step = sample.size, 1 if self.direction == "up" else -1

        def at(variable: jax.Array) -> jax.Array:
            moves = (jnp.arange(size, dtype="int32") == variable).reshape(sample.shape)
            # No count below zero, whose weight is zero.
            return f(jnp.where(moves, jnp.maximum(sample + step, 0), sample))

        # The sample itself first. In one call, so that nested estimators use their keys once.
        found = evaluate_all(at, jnp.arange(-1, size, dtype="int32"), sample.shape)
        change = jax.lax.stop_gradient(step * (found[1:] - found[0])).reshape(sample.shape)
        weight = jnp.exp(distribution.log_rate) if self.direction == "up" else sample
        return attach_gradient(
            found[0], distribution, dataclasses.replace(distribution, log_rate=weight * change)
        )

    def check(self) -> None:
        """Raise for an unknown direction."""
        check_choice("PoissonDifference direction", self.direction, ("up", "down"))
