"""Compensated sums in doubled precision: a number is a rounded value plus a remainder."""

import jax
import jax.numpy as jnp

Pair = tuple[jax.Array, jax.Array]


def add(one: Pair, other: Pair) -> Pair:
    """Return the sum (Knuth's TwoSum)."""
    total = one[0] + other[0]
    part = total - one[0]
    left = (one[0] - (total - part)) + (other[0] - part) + (one[1] + other[1])
    rounded = total + left
    return rounded, left - (rounded - total)


def subtract(one: Pair, other: Pair) -> Pair:
    """Return the difference."""
    return add(one, (-other[0], -other[1]))


def where(condition: jax.Array, one: Pair, other: Pair) -> Pair:
    """Select one of two numbers elementwise."""
    return jnp.where(condition, one[0], other[0]), jnp.where(condition, one[1], other[1])


def cumsum(values: jax.Array) -> Pair:
    """Return the inclusive cumulative sums along the last axis of nonnegative numbers.

    Their total is at most two, so multiples of the precision are summed exactly, and the remainder
    is at most the precision.
    """
    precision = jnp.finfo(values.dtype).eps
    coarse = jnp.floor(values / precision) * precision
    exact, rest = jnp.cumsum(coarse, -1), jnp.cumsum(values - coarse, -1)
    return add((exact, jnp.zeros_like(rest)), (rest, jnp.zeros_like(rest)))
