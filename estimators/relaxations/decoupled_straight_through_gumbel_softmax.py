"""The decoupled straight-through Gumbel-softmax estimator."""

from typing import Any, Self

import jax

from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.core.validation import check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class DecoupledStraightThroughGumbelSoftmax(Estimator):
    r"""Straight-through Gumbel-softmax with a temperature for each direction.

    Forward $D = \mathrm{onehot}(\arg\max(\theta / \tau_f + G))$, backward the derivative of $y_b =
    \mathrm{softmax}(\theta / \tau_b + G)$, from the same noise. The paper divides the logits alone,
    not the noise, so the forward temperature changes *what is sampled*:
    $\mathrm{softmax}(\theta / \tau_f)$. Value and gradient are those of the distribution itself
    only at $\tau_f = 1$; elsewhere the value is biased too. With both at 1 it is
    `StraightThroughGumbelSoftmax` at 1. Biased. Shah et al. 2024 (arXiv:2410.13331), first version;
    where the noise stands was read from an account of the paper, not its text.

    Args:
        forward_temperature: $\tau_f > 0$.
        backward_temperature: $\tau_b > 0$.
    """

    forward_temperature: Any
    backward_temperature: Any

    distributions = (Bernoulli, Categorical)
    differentiates = True
    paper = "shah2024"

    @property
    def unbiased(self) -> Unbiased:
        """Biased."""
        return "no"

    def evaluations(self, distribution: Distribution) -> int:
        """One."""
        del distribution
        return 1

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The distribution's own sample, with both kinds of backward pass."""
        return (cls(1.0, 0.5), cls(1.0, 2.0))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the hard sample of one temperature, with the derivative at the other."""
        assert isinstance(distribution, Discrete)
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
