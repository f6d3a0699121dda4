"""The decoupled straight-through Gumbel-softmax estimator."""

from typing import Self

import jax

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree
from estimators.core.validation import check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class DecoupledStraightThroughGumbelSoftmax(Estimator[Bernoulli | Categorical, Objective]):
    r"""Straight-through Gumbel-softmax with separate forward and backward temperatures.

    Forward $D = \mathrm{onehot}(\arg\max(\theta / \tau_f + G))$, backward the derivative of $y_b =
    \mathrm{softmax}(\theta / \tau_b + G)$, from the same noise. The paper divides the logits, not
    the noise, so the forward temperature changes *the distribution sampled from* to
    $\mathrm{softmax}(\theta / \tau_f)$: for $\tau_f \ne 1$ the value is biased too. With both at 1
    it is `StraightThroughGumbelSoftmax` at 1. Biased. Shah et al. 2024 (arXiv:2410.13331), first
    version; the text was unavailable; a secondary source states that the noise is not divided.

    Args:
        forward_temperature: $\tau_f > 0$.
        backward_temperature: $\tau_b > 0$.
    """

    forward_temperature: Scalar
    backward_temperature: Scalar

    differentiates = True
    paper = "shah2024"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with forward temperature 1, and low and high backward temperatures."""
        return (cls(1.0, 0.5), cls(1.0, 2.0))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the forward sample, with the derivative of the backward one."""
        noise = distribution.noise(key)
        forward, backward = (
            distribution.logits / jax.lax.stop_gradient(temperature) + noise
            for temperature in (self.forward_temperature, self.backward_temperature)
        )
        hard = jax.lax.stop_gradient(distribution.hard(forward))
        return f(replace_gradient(hard, distribution.squash(backward)))

    def check(self) -> None:
        """Raise unless both temperatures are positive."""
        name = "DecoupledStraightThroughGumbelSoftmax"
        check_positive(f"{name} forward_temperature", self.forward_temperature)
        check_positive(f"{name} backward_temperature", self.backward_temperature)
