"""Local expectations: each variable's exact gradient, given a sample of the others."""

import jax
import jax.numpy as jnp

from estimators.core.averages import mean
from estimators.core.distribution import LARGEST_LOGIT, Discrete
from estimators.core.gradients import attach_gradient
from estimators.enumeration.classes import class_log_probs


def neighbour(
    distribution: Discrete, classes: jax.Array, variable: jax.Array, step: jax.Array
) -> jax.Array:
    """Return a sample with one variable moved to another class; unchanged for step 0.

    Also unchanged if that class has probability zero: f need not be defined there, and its weight
    is zero.

    Args:
        distribution: the distribution of the sample.
        classes: the sample's classes, `[variables]`.
        variable: index of the variable.
        step: number of classes to move by, cyclically: 1 to K - 1.
    """
    variables, num_classes = distribution.class_shape
    moves = jnp.arange(variables, dtype=classes.dtype) == variable
    moved = distribution.of_classes(jnp.where(moves, (classes + step) % num_classes, classes))
    possible = distribution.log_prob(moved) > -LARGEST_LOGIT / 2
    return jax.lax.stop_gradient(jnp.where(possible, moved, distribution.of_classes(classes)))


def attach_local(
    distribution: Discrete, own: jax.Array, values: jax.Array, found: jax.Array
) -> jax.Array:
    r"""Return the mean of the local expectations of f, with their gradients attached.

    For each variable i, $E_i = \sum_v q(z_i = v) f(z^{(i)}_{\ne i}, v)$; attached, $\sum_v \nabla
    q(z_i = v) f(z^{(i)}_{\ne i}, v)$. Both are computed from differences to f at the sample, so
    that a constant in f causes no rounding error.

    Args:
        distribution: the distribution of the samples.
        own: the class of variable i in sample i, `[variables]`.
        values: f at these samples, `[variables]`.
        found: f at their neighbours by steps 1 to K - 1, `[variables, K - 1]`.
    """
    steps = found - values[:, None]
    # From step order, in which the sample comes first, to class order.
    change = _turned(jnp.pad(steps, ((0, 0), (1, 0))), own)

    def expected(distribution: Discrete, change: jax.Array) -> jax.Array:
        chances = jnp.exp(class_log_probs(distribution))
        dtype = jnp.promote_types(chances.dtype, change.dtype)
        return jnp.sum(chances.astype(dtype) * change.astype(dtype), -1)

    def weighted(distribution: Discrete) -> jax.Array:
        return expected(distribution, jax.lax.stop_gradient(change)).sum()

    step = expected(jax.lax.stop_gradient(distribution), change)
    value = mean(values.astype(step.dtype) + step)
    return attach_gradient(value, distribution, jax.grad(weighted)(distribution))


def _turned(rows: jax.Array, by: jax.Array) -> jax.Array:
    """Return each row rolled by its own number of steps, less than the row's length.

    By rolls over powers of two rather than by indexing: on a mesh with explicit axes JAX cannot
    infer the sharding of a gather.
    """
    for power in range((rows.shape[1] - 1).bit_length()):
        turns = (by >> power) % 2 == 1
        rows = jnp.where(turns[:, None], jnp.roll(rows, 2**power, 1), rows)
    return rows
