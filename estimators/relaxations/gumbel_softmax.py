"""The Gumbel-softmax (Concrete) estimator."""

from typing import Self

import jax

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree
from estimators.core.validation import check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.relaxations.pathwise import Pathwise


@pytree
class GumbelSoftmax(Estimator[Bernoulli | Categorical, Objective]):
    r"""The Gumbel-softmax estimator: f at a relaxed sample, differentiated through it.

    $y = \mathrm{softmax}((\theta + G) / \tau)$, or the sigmoid with logistic noise: `Pathwise()` on
    the relaxed distribution, applied to f after the squashing. Value and gradient are unbiased for
    the *relaxed* expectation, and biased for the discrete one, even for linear f; as the
    temperature falls the bias vanishes and the variance grows. f is never evaluated at a hard
    sample.
    Jang et al. 2017 (arXiv:1611.01144), Maddison et al. 2017 (arXiv:1611.00712).

    Args:
        temperature: $\tau > 0$.
    """

    temperature: Scalar

    differentiates = True
    relaxes = True
    paper = "jang2017"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with a low and a high temperature."""
        return (cls(0.5), cls(1.0))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the relaxed sample."""
        relaxed = distribution.relax(jax.lax.stop_gradient(self.temperature))
        return Pathwise()(key, relaxed, lambda sample: f(relaxed.squash(sample)))

    def check(self) -> None:
        """Raise unless the temperature is positive."""
        check_positive("GumbelSoftmax temperature", self.temperature)
