"""The Gumbel-softmax (Concrete) estimator."""

from typing import Any, Self

import jax

from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.core.validation import check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.relaxations.pathwise import Pathwise


@pytree
class GumbelSoftmax(Estimator):
    r"""The Gumbel-softmax estimator: f at a relaxed sample, differentiated through it.

    $y = \mathrm{softmax}((\theta + G) / \tau)$, or the sigmoid with logistic noise: `Pathwise()` on
    the relaxed distribution, with f after the squashing. Its value and gradient are unbiased for
    the *relaxed* expectation, so biased for the discrete one, even for linear f; the bias vanishes
    and the variance grows as the temperature falls. Never calls f at a hard sample.
    Jang et al. 2017 (arXiv:1611.01144), Maddison et al. 2017 (arXiv:1611.00712).

    Args:
        temperature: $\tau > 0$.
    """

    temperature: Any

    distributions = (Bernoulli, Categorical)
    differentiates = True
    relaxes = True
    paper = "jang2017"

    @property
    def unbiased(self) -> Unbiased:
        """Biased for the discrete expectation."""
        return "no"

    def evaluations(self, distribution: Distribution) -> int:
        """One, at a relaxed sample."""
        del distribution
        return 1

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A low temperature and a high one."""
        return (cls(0.5), cls(1.0))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the relaxed sample."""
        assert isinstance(distribution, Discrete)
        relaxed = distribution.relax(jax.lax.stop_gradient(self.temperature))
        return Pathwise()(key, relaxed, lambda sample: f(relaxed.squash(sample)))

    def check(self) -> None:
        """Raise unless the temperature is positive."""
        check_positive("GumbelSoftmax temperature", self.temperature)
