"""Estimators whose leaves are learned from their own squared gradient."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from estimators.core.gradients import attach_gradient, attach_tuning
from estimators.core.products import vdot

E = TypeVar("E")
T = TypeVar("T")


def attach_learning(value: jax.Array, at: T, estimator: E, gradient: Callable[[E], T]) -> jax.Array:
    """Return `value` with an estimator's gradient and the gradient of its squared norm attached.

    The latter is attached at the estimator's leaves. If the mean gradient does not depend on them,
    it is an unbiased estimate of the gradient of the variance.

    Args:
        value: a scalar.
        at: a distribution.
        estimator: the estimator whose leaves are learned.
        gradient: maps the estimator to a pytree shaped like `at`; differentiable only in its
            leaves.
    """

    def square(estimator: E) -> jax.Array:
        squares = jax.tree.map(lambda slope: vdot(slope, slope), gradient(estimator))
        return jax.tree.reduce(jnp.add, squares)

    value = attach_gradient(value, at, gradient(estimator))
    return attach_tuning(value, estimator, jax.grad(square)(estimator))
