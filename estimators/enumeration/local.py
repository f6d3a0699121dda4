"""Local expectations: each variable's exact gradient, given a sample of the others."""

import jax
import jax.numpy as jnp

from estimators.core.averages import mean
from estimators.core.distribution import LARGEST_LOGIT, Discrete
from estimators.core.gradients import attach_gradient


def neighbour(
    distribution: Discrete, classes: jax.Array, variable: jax.Array, step: jax.Array
) -> jax.Array:
    """Return a sample, of which one variable has moved on: 0 is itself, 1 to K - 1 the others.

    Where it has moved to a class of probability zero the sample itself: f need not have a value
    there, and its weight is zero.

    Args:
        distribution: of the sample.
        classes: the sample's classes, `[variables]`.
        variable: the number of the variable.
        step: how far it has moved, in a ring.
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
    q(z_i = v) f(z^{(i)}_{\ne i}, v)$. Both are taken from the differences to f at the sample, so
    that a constant in f is not rounded.

    Args:
        distribution: of the samples.
        own: the class of variable i in sample i, `[variables]`.
        values: f at these samples, `[variables]`.
        found: f at their neighbours that have moved by 1 to K - 1, `[variables, K - 1]`.
    """
    steps = found - values[:, None]
    # From the neighbours' order, of which the sample is the first, to that of the classes.
    change = _turned(jnp.pad(steps, ((0, 0), (1, 0))), own)

    def expected(distribution, change):
        chances = jnp.exp(distribution.class_log_probs())
        dtype = jnp.promote_types(chances.dtype, change.dtype)
        return jnp.sum(chances.astype(dtype) * change.astype(dtype), -1)

    def weighted(distribution):
        return expected(distribution, jax.lax.stop_gradient(change)).sum()

    step = expected(jax.lax.stop_gradient(distribution), change)
    value = mean(values.astype(step.dtype) + step)
    return attach_gradient(value, distribution, jax.grad(weighted)(distribution))


def _turned(rows: jax.Array, by: jax.Array) -> jax.Array:
    """Return each row moved on in a ring, by a number of its own that is below its length.

    By rolls over powers of two, not by indexing: on a mesh with explicit axes JAX cannot infer the
    sharding of a gather.
    """
    for power in range((rows.shape[1] - 1).bit_length()):
        turns = (by >> power) % 2 == 1
        rows = jnp.where(turns[:, None], jnp.roll(rows, 2**power, 1), rows)
    return rows
