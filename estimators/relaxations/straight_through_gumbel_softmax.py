"""The straight-through Gumbel-softmax estimator."""

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
class StraightThroughGumbelSoftmax(Estimator):
    r"""Straight-through Gumbel-softmax: f' at the hard sample, the relaxed one's derivative.

    Forward $D = \mathrm{onehot}(\arg\max(\theta + G))$, backward $y = \mathrm{softmax}((\theta + G)
    / \tau)$ from the same noise. Biased. Jang et al. 2017 (arXiv:1611.01144), section 2.2.

    Args:
        temperature: $\tau > 0$.
    """

    temperature: Any

    distributions = (Bernoulli, Categorical)
    differentiates = True
    paper = "jang2017"

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
        """A low temperature and a high one."""
        return (cls(0.5), cls(1.0))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative of the relaxed one."""
        assert isinstance(distribution, Discrete)
        perturbed = distribution.perturb(distribution.noise(key))
        soft = distribution.relaxed(perturbed, jax.lax.stop_gradient(self.temperature))
        return f(replace_gradient(jax.lax.stop_gradient(distribution.hard(perturbed)), soft))

    def check(self) -> None:
        """Raise unless the temperature is positive."""
        check_positive("StraightThroughGumbelSoftmax temperature", self.temperature)
