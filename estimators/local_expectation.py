"""Local expectation gradients."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_gradient
from estimators.core.local import local_gradient, num_alternatives, num_variables
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class LocalExpectation(Estimator):
    r"""Local expectation gradients: every variable summed over, given one sample of the others.

    $\sum_v f(z_{\ne i}, v) \nabla q(z_i = v)$ for each variable i of one shared sample z; for bits
    $s_i (1 - s_i) (f(z_{\ne i}, 1) - f(z_{\ne i}, 0))$. Unbiased for every f. It is the score
    function's mean given the others (Rao-Blackwell), so per coordinate no single-sample score
    function with a baseline on the others has less variance; exact for one variable, and for any
    f that is a sum of functions of one variable each. The sample is the only noise.
    Titsias and Lazaro-Gredilla 2015 (arXiv:1503.01494).
    """

    distributions = (Bernoulli, Categorical)
    differentiates = False
    paper = "titsias2015"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One at the sample, and one for each other value of each variable."""
        assert isinstance(distribution, Discrete)
        return 1 + num_variables(distribution) * num_alternatives(distribution)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The one there is."""
        return (cls(),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the sample, the local expectations attached."""
        assert isinstance(distribution, Discrete)
        sample = distribution.sample(key)
        value = f(sample)
        count = num_variables(distribution)
        shared = jnp.broadcast_to(sample, (count, *sample.shape))
        values = jnp.broadcast_to(value, (count,))
        return attach_gradient(value, distribution, local_gradient(distribution, shared, values, f))
