"""The MuProp estimator."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.continuous_pass import mean_field_pass
from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class MuProp(Estimator):
    r"""MuProp: an expansion of f about the mean $\mu$ as the score function's control variate.

    $(f(z) - f(\mu) - f'(\mu) \cdot (z - \mu)) \nabla \log q(z) + f'(\mu) \nabla \mu$. Unbiased;
    without variance for linear f. Where f holds further layers, f(mu) is one mean-field pass
    through all of them. Gu et al. 2016 (arXiv:1511.05176).
    """

    distributions = (Bernoulli, Categorical)
    differentiates = True
    continuous_passes = 1
    paper = "gu2016"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One at the sample and one at the mean."""
        del distribution
        return 2

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The one there is."""
        return (cls(),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the sample, with the corrected score attached at the distribution."""
        assert isinstance(distribution, Discrete)
        sample = distribution.sample(key)
        with mean_field_pass():
            at_mean, slope = jax.value_and_grad(f)(distribution.mean)
        value = f(sample)
        rest = value - at_mean - jnp.vdot(slope, sample - distribution.mean)

        def control(distribution):
            # Only its derivative counts: the score times the rest, and the mean's own path.
            score = jax.lax.stop_gradient(rest) * distribution.log_prob(sample)
            return score + jnp.vdot(jax.lax.stop_gradient(slope), distribution.mean)

        return attach_gradient(value, distribution, jax.grad(control)(distribution))
