"""Sums and means that keep precision despite a common constant or one large value."""

import jax
import jax.numpy as jnp

from estimators.core.products import vdot


def mean(values: jax.Array) -> jax.Array:
    """Return the mean over the first axis, computed from differences to the first value.

    The result is rounded once; otherwise only the differences are rounded.
    """
    origin = as_origin(values[0])
    return origin + (values - origin[None]).mean(0)


def differences(values: jax.Array) -> jax.Array:
    """Return the values minus the first, which is stopped.

    Exact for values within a factor of two of the first, as with a large common constant.
    """
    return values - as_origin(values[:1])


def deviations(values: jax.Array) -> jax.Array:
    """Return the values minus their mean over the first axis, computed from their differences."""
    steps = differences(values)
    return steps - steps.mean(0, keepdims=True)


def weighted_mean(weights: jax.Array, values: jax.Array) -> jax.Array:
    r"""Return $\sum_i w_i v_i$ for weights that sum to one, computed from the differences of v.

    Correct in derivatives of every order.

    Args:
        weights: `[n]`.
        values: `[n]`.
    """
    dtype = jnp.promote_types(weights.dtype, values.dtype)
    weights, values = weights.astype(dtype), values.astype(dtype)
    origin = as_origin(vdot(weights, values))
    return origin + vdot(weights, values - origin)


def sum_of_others(values: jax.Array) -> jax.Array:
    """Return, for each entry on the first axis, the sum of all others.

    Entries are not subtracted from the total, which would lose precision to a large entry and give
    NaN for an infinite one. Memory is linear.
    """
    nothing = jnp.zeros_like(values[:1])
    before = jnp.concatenate([nothing, jnp.cumsum(values[:-1], 0)])
    after = jnp.concatenate([jax.lax.cumsum(values[1:], 0, reverse=True), nothing])
    return before + after


def mean_of_others(values: jax.Array) -> jax.Array:
    """Return, for each of two or more entries on the first axis, the mean of all others."""
    return sum_of_others(values) / (len(values) - 1)


def as_origin(value: jax.Array) -> jax.Array:
    """Return `value` as a constant to subtract: stopped, and zero if it is not finite."""
    value = jax.lax.stop_gradient(value)
    return jnp.where(jnp.isfinite(value), value, 0)
