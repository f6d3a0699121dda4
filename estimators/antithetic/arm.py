"""The ARM estimator."""

import jax
import jax.numpy as jnp

from estimators.antithetic.pairs import antithetic_pair, at_pair
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli


@pytree
class ARM(Estimator[Bernoulli, Objective]):
    r"""ARM, augment-REINFORCE-merge: the difference of f over an antithetic pair, times its noise.

    $(f(b) - f(\tilde b)) (u - \frac12)$ per variable, where one uniform u gives
    $b = 1[u > 1 - s]$ and $\tilde b = 1[u < s]$, $s = \sigma(\phi)$. Zero if the pair agrees in
    every variable. `DisARM` is its conditional mean given the pair. Yin and Zhou 2019
    (arXiv:1807.11143).
    """

    unbiased = "yes"
    paper = "yin2019"

    def evaluations(self, distribution: Bernoulli) -> int:
        """One evaluation per sample of the pair."""
        return 2

    def estimate(self, key: jax.Array, distribution: Bernoulli, f: Objective) -> jax.Array:
        """Return the mean of f over the pair, with the difference times the noise attached."""
        noise = distribution.noise(key)
        at_first, at_second = at_pair(f, *antithetic_pair(distribution, noise))
        # tanh(noise / 2) / 2 is u - 1/2, since the noise is log u - log(1 - u).
        gradient = (at_first - at_second) * jnp.tanh(noise / 2) / 2
        return attach_gradient((at_first + at_second) / 2, distribution.logits, gradient)
