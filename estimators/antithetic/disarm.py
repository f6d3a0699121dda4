"""The DisARM estimator."""

import jax

from estimators.antithetic.pairs import antithetic_pair, at_pair, paired_score
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli


@pytree
class DisARM(Estimator[Bernoulli, Objective]):
    r"""DisARM, or U2G: the score function of an antithetic pair, weighted to be unbiased.

    $\frac12 (f(b) - f(\tilde b)) (b - \tilde b) \sigma(|\phi|)$ per variable, where one uniform u
    gives $b = 1[u > 1 - s]$ and $\tilde b = 1[u < s]$, $s = \sigma(\phi)$. It is the mean of `ARM`
    given the pair, so its variance is at most that of `ARM` in every coordinate. Dong, Mnih and
    Tucker 2020 (arXiv:2006.10680); concurrently Yin et al. 2020 (arXiv:2006.06448).
    """

    unbiased = "yes"
    paper = "dong2020"

    def evaluations(self, distribution: Bernoulli) -> int:
        """One evaluation per sample of the pair."""
        return 2

    def estimate(self, key: jax.Array, distribution: Bernoulli, f: Objective) -> jax.Array:
        """Return the mean of f over the pair, with the weighted difference attached."""
        first, second = antithetic_pair(distribution, distribution.noise(key))
        at_first, at_second = at_pair(f, first, second)
        gradient = (at_first - at_second) * paired_score(distribution, first, second)
        return attach_gradient((at_first + at_second) / 2, distribution.logits, gradient)
