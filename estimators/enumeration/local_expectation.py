"""Local expectation gradients."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.evaluate import evaluate_all
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.enumeration.local import attach_local, neighbour


@pytree
class LocalExpectation(Estimator):
    r"""Local expectation gradients: every variable summed over, given one sample of the others.

    $\sum_v f(z_{\ne i}, v) \nabla q(z_i = v)$ for each variable i of one shared sample z; for bits
    $s_i (1 - s_i) (f(z_{\ne i}, 1) - f(z_{\ne i}, 0))$. Unbiased for every f. It is the score
    function's mean given the others (Rao-Blackwell), so per coordinate no single-sample score
    function with a baseline on the others has less variance; exact for one variable, and for any
    f that is a sum of functions of one variable each.
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
        variables, classes = distribution.class_shape
        return 1 + variables * (classes - 1)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The one there is."""
        return (cls(),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of the local expectations, their gradients attached."""
        assert isinstance(distribution, Discrete)
        own = distribution.classes_of(distribution.sample(key))
        variables, classes = distribution.class_shape

        def at(point):
            return f(neighbour(distribution, own, *point))

        # The sample itself, and every step of every variable. In one call, so that a layer below
        # uses its key once.
        variable, step = jnp.divmod(
            jnp.arange(variables * (classes - 1), dtype="int32"), classes - 1
        )
        points = jnp.pad(variable, (1, 0)), jnp.pad(step + 1, (1, 0))
        at_sample, found = jnp.split(evaluate_all(at, points, distribution.event_shape), [1])
        values = jnp.broadcast_to(at_sample, (variables,))
        return attach_local(distribution, own, values, found.reshape(variables, -1))
