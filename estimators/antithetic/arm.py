"""The ARM estimator."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.antithetic.pairs import antithetic_pair, at_pair
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli


@pytree
class ARM(Estimator):
    r"""ARM, augment-REINFORCE-merge: the difference of f over an antithetic pair, times its noise.

    $(f(b) - f(\tilde b)) (u - \frac12)$ per variable, where one uniform u gives
    $b = 1[u > 1 - s]$ and $\tilde b = 1[u < s]$, $s = \sigma(\phi)$. Zero where the pair agrees in
    every variable. `DisARM` is its mean given the pair. Yin and Zhou 2019 (arXiv:1807.11143).
    """

    distributions = (Bernoulli,)
    differentiates = False
    paper = "yin2019"

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
        """Return the mean of f over the pair, the difference times the noise attached."""
        assert isinstance(distribution, Bernoulli)
        noise = distribution.noise(key)
        at_first, at_second = at_pair(f, *antithetic_pair(distribution, noise))
        # u - 1/2, as the logistic noise is log u - log(1 - u).
        gradient = (at_first - at_second) * jnp.tanh(noise / 2) / 2
        return attach_gradient((at_first + at_second) / 2, distribution.logits, gradient)
