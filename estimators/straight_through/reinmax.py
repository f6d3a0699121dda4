"""The ReinMax estimator."""

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
from estimators.straight_through.halfway import halfway


@pytree
class ReinMax(Estimator[Bernoulli | Categorical, Objective]):
    r"""ReinMax: straight-through of second order, by Heun's method.

    $f'(D) (2 J(\frac{p_\tau + D}{2}) - \frac12 J(p))$ with $J(p) = \mathrm{diag}(p) - p p^T$ and
    $p_\tau = \mathrm{softmax}(\theta / \tau)$; for bits $J(s) = s (1 - s)$. At temperature 1 it is
    unbiased for quadratic f, coupled or not, with any number of classes; biased otherwise. For bits
    it then equals `DARN` sample by sample. Liu et al. 2023 (arXiv:2304.08612), algorithm 2.

    At temperature 1 it is ZGR (Shekhovtsov 2023): $\frac12 (J + (D - p) (D - p)^\top) f'(D)$, the
    mean of straight-through and of `DARN` about the mean, and the limit of `GumbelRao` at
    temperature 0.

    Args:
        temperature: $\tau > 0$ of the half step; above 1 it trades bias for variance.
    """

    temperature: Scalar = 1.0

    differentiates = True
    paper = "liu2023"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants of second order, and of lower variance."""
        return (cls(1.0), cls(1.5))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative of Heun's step."""
        sample = distribution.sample(key)
        middle = halfway(distribution, sample, self.temperature)
        return f(replace_gradient(sample, heun(distribution, middle)))

    def check(self) -> None:
        """Raise unless the temperature is positive."""
        check_positive("ReinMax temperature", self.temperature)


def heun(distribution: Discrete, middle: Discrete) -> jax.Array:
    """Return the surrogate of the sample, given the distribution halfway to it."""
    return 2 * middle.mean - distribution.mean / 2
