"""The straight-through Gumbel-softmax estimator."""

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
class StraightThroughGumbelSoftmax(Estimator[Bernoulli | Categorical, Objective]):
    r"""Straight-through Gumbel-softmax: f at the hard sample, the derivative of the relaxed one.

    Forward $D = \mathrm{onehot}(\arg\max(\theta + G))$, backward $y = \mathrm{softmax}((\theta + G)
    / \tau)$ from the same noise. Biased. Jang et al. 2017 (arXiv:1611.01144), section 2.2.

    Args:
        temperature: $\tau > 0$.
    """

    temperature: Scalar

    differentiates = True
    paper = "jang2017"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with a low and a high temperature."""
        return (cls(0.5), cls(1.0))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative of the relaxed one."""
        perturbed = distribution.perturb(distribution.noise(key))
        soft = distribution.relaxed(perturbed, jax.lax.stop_gradient(self.temperature))
        return f(replace_gradient(jax.lax.stop_gradient(distribution.hard(perturbed)), soft))

    def check(self) -> None:
        """Raise unless the temperature is positive."""
        check_positive("StraightThroughGumbelSoftmax temperature", self.temperature)
