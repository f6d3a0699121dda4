"""The IndeCateR estimator."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.averages import mean
from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.evaluate import evaluate_all
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.enumeration.classes import classes_of
from estimators.enumeration.local import attach_local, neighbour


@pytree
class IndeCateR(Estimator[Bernoulli | Categorical, Objective]):
    r"""IndeCateR: a sum over each variable, with n separate samples of the others for each.

    $\sum_v \nabla q(z_i = v) \frac1n \sum_k f(z^{(i, k)}_{\ne i}, v)$ for each variable i: the
    CatLog-derivative trick for independent variables. Unbiased for every f; exact for one variable.
    Variables do not share samples, so their gradients are independent: per coordinate the variance
    is 1/n of that of `LocalExpectation`, without its correlation between variables. f is evaluated
    n K times for each variable. De Smet et al. 2023 (arXiv:2311.12569). Only part of the text was
    available: separate samples for each variable are our interpretation, on which mean and variance
    per coordinate do not depend.

    Args:
        num_samples: number of samples n for each variable, at least 1.
    """

    num_samples: int = static(default=1)

    unbiased = "yes"
    paper = "desmet2023"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation per value of each variable in each of its samples."""
        variables, classes = distribution.class_shape
        return self.num_samples * variables * classes

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with one sample, and with two."""
        return (cls(1), cls(2))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return the mean of the local expectations, with their gradients attached."""
        variables, classes = distribution.class_shape
        keys = sample_keys(key, self.num_samples * variables)
        drawn = jax.vmap(lambda key: classes_of(distribution, distribution.sample(key)))(keys)

        def at(point: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            return f(neighbour(distribution, *point))

        row, step = jnp.divmod(jnp.arange(len(keys) * classes, dtype="int32"), classes)
        each = jnp.broadcast_to(drawn[:, None], (len(keys), classes, variables))
        points = each.reshape(-1, variables), row % variables, step
        # Evaluated in one call, so that nested estimators use their keys once.
        found = evaluate_all(at, points, distribution.event_shape)
        found = found.reshape(self.num_samples, variables, classes)
        drawn = drawn.reshape(self.num_samples, variables, variables)
        own = jnp.where(jnp.eye(variables, dtype=bool)[None], drawn, 0).sum(-1, dtype="int32")

        def local(own: jax.Array, found: jax.Array) -> jax.Array:
            return attach_local(distribution, own, found[:, 0], found[:, 1:])

        return mean(jax.vmap(local)(own, found))

    def check(self) -> None:
        """Raise unless there is at least one sample."""
        check_count("IndeCateR num_samples", self.num_samples, 1)
