"""Local expectation gradients."""

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.evaluate import evaluate_all
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.enumeration.classes import classes_of
from estimators.enumeration.local import attach_local, neighbour


@pytree
class LocalExpectation(Estimator[Bernoulli | Categorical, Objective]):
    r"""Local expectation gradients: a sum over each variable, given one sample of the others.

    $\sum_v f(z_{\ne i}, v) \nabla q(z_i = v)$ for each variable i of one shared sample z; for bits
    $s_i (1 - s_i) (f(z_{\ne i}, 1) - f(z_{\ne i}, 0))$. Unbiased for every f. It is the
    conditional mean of the score function given the others (Rao-Blackwell), so in each coordinate
    its variance is at most that of a single-sample score function with a baseline of the others.
    Exact for one variable, and for any separable f. Titsias and Lázaro-Gredilla 2015
    (arXiv:1503.01494).
    """

    unbiased = "yes"
    paper = "titsias2015"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation at the sample, and one for each other value of each variable."""
        variables, classes = distribution.class_shape
        return 1 + variables * (classes - 1)

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return the mean of the local expectations, with their gradients attached."""
        own = classes_of(distribution, distribution.sample(key))
        variables, classes = distribution.class_shape

        def at(point: tuple[jax.Array, jax.Array]) -> jax.Array:
            return f(neighbour(distribution, own, *point))

        # The sample itself, and every step of every variable. Evaluated in one call, so that nested
        # estimators use their keys once.
        variable, step = jnp.divmod(
            jnp.arange(variables * (classes - 1), dtype="int32"), classes - 1
        )
        points = jnp.pad(variable, (1, 0)), jnp.pad(step + 1, (1, 0))
        at_sample, found = jnp.split(evaluate_all(at, points, distribution.event_shape), [1])
        values = jnp.broadcast_to(at_sample, (variables,))
        return attach_local(distribution, own, values, found.reshape(variables, -1))
