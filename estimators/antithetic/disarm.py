"""The DisARM estimator."""

from typing import Self

import jax

from estimators.antithetic.pairs import antithetic_pair, at_pair, paired_score
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli


@pytree
class DisARM(Estimator):
    r"""DisARM, or U2G: the score function of an antithetic pair, weighted to be unbiased.

    $\frac12 (f(b) - f(\tilde b)) (b - \tilde b) \sigma(|\phi|)$ per variable, where one uniform u
    gives $b = 1[u > 1 - s]$ and $\tilde b = 1[u < s]$, $s = \sigma(\phi)$. It is the mean of `ARM`
    given the pair, so never of larger variance in any coordinate. Dong, Mnih and Tucker 2020
    (arXiv:2006.10680); at the same time Yin et al. 2020 (arXiv:2006.06448).
    """

    distributions = (Bernoulli,)
    differentiates = False
    paper = "dong2020"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One for each of the pair."""
        del distribution
        return 2

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The one there is."""
        return (cls(),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of f over the pair, the weighted difference attached."""
        assert isinstance(distribution, Bernoulli)
        first, second = antithetic_pair(distribution, distribution.noise(key))
        at_first, at_second = at_pair(f, first, second)
        gradient = (at_first - at_second) * paired_score(distribution, first, second)
        return attach_gradient((at_first + at_second) / 2, distribution.logits, gradient)
