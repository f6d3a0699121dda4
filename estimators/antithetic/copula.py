"""The Dirichlet copula: negatively dependent uniform numbers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators.antithetic.compensated import Pair, add, subtract, where
from estimators.core.averages import sum_of_others


def repelled_log_uniforms(noise: jax.Array) -> jax.Array:
    r"""Return logarithms of n uniform numbers, pairwise negatively dependent.

    Exponential variables $E_i = -\log(1 - \sigma(L_i))$ divided by their sum are a uniform point d
    on the simplex, and each $u_i = (1 - d_i)^{n - 1}$ is uniform. For n = 2 they are $u, 1 - u$.
    $u_i$ decreases in $L_i$.

    Args:
        noise: $L$, independent logistic noise, `[n, ...]` with n at least two.
    """
    count = len(noise)
    shares = jax.nn.softplus(noise)
    return (count - 1) * (jnp.log(sum_of_others(shares)) - jnp.log(shares.sum(0, keepdims=True)))


class Interval(NamedTuple):
    """An interval in [0, 1]: the lengths before, inside (positive) and after it.

    All three are kept, since each may be too small to compute from the other two.
    """

    before: Pair
    length: jax.Array
    after: Pair


class Edge(NamedTuple):
    """A point x in [0, 1] as $x^{1/m}$ and $1 - x^{1/m}$, both to full relative precision."""

    root: Pair
    rest: Pair


class Repelling(NamedTuple):
    """An interval as input of `repulsion`: its ends, and their roots' distance (the width).

    The slope is the length divided by the width.
    """

    low: Edge
    high: Edge
    slope: jax.Array
    width: jax.Array


def repelling(interval: Interval, count: int) -> Repelling:
    """Return the part of `repulsion` that depends on one interval, for `count` uniform numbers."""
    power = count - 1
    before, length, after = interval
    own = length, jnp.zeros_like(length)
    low, high = _root(before, power), _root(add(before, own), power)

    def edge(root: Pair, rest: Pair) -> Edge:
        slope = _quotient(jnp.ones_like(root[0]), root[0], power)
        return Edge(root, (rest[0] / slope, rest[1] / slope))

    slope = _quotient(high[0], low[0], power)
    width = jnp.maximum(length / slope, jnp.finfo(length.dtype).tiny)
    return Repelling(edge(low, add(own, after)), edge(high, after), slope, width)


def repulsion(one: Repelling, other: Repelling, count: int) -> jax.Array:
    r"""Return $P(u_1 \in I, u_2 \in J) / (|I| |J|)$ of two of n numbers of the Dirichlet copula.

    With $m = n - 1$, $P(u_1 < p, u_2 < q) = h^m$ where $h = \max(0, p^{1/m} + q^{1/m} - 1)$, so the
    result is a mixed difference of $h^m$ over the corners of a rectangle. It is computed
    recursively from $h^{m - 1}$ by products and sums of nonnegative numbers, without cancellation.
    """
    least, most = _above(one.low, other.low), _above(one.high, other.high)
    left, right = _above(one.low, other.high), _above(one.high, other.low)
    # Difference quotients of h with respect to the roots: along I, along J, and mixed.
    bottom, top = jnp.clip(right / one.width, 0, 1), jnp.clip(most / one.width, 0, 1)
    start, end = jnp.clip(left / other.width, 0, 1), jnp.clip(most / other.width, 0, 1)
    both = jnp.clip(jnp.minimum(most, -least) / jnp.minimum(one.width, other.width), 0, 1)
    both = both / jnp.maximum(one.width, other.width)
    # For powers of h, from 0: the value at the lowest corner, and the same differences.
    value, along, across, mixed = 1.0, 0.0, 0.0, 0.0
    for _ in range(count - 1):
        mixed = jnp.maximum(most, 0) * mixed + end * along + top * across + both * value
        along = jnp.maximum(right, 0) * along + bottom * value
        across = jnp.maximum(left, 0) * across + start * value
        value = jnp.maximum(least, 0) * value
    # The maximum stops XLA from dividing by the product of both slopes, which may underflow.
    return jnp.maximum(mixed / one.slope, 0) / other.slope


def _root(x: Pair, power: int) -> Pair:
    # If a root is taken, the compensation of x is below the rounding of the root.
    return x if power == 1 else (x[0] ** (1 / power), jnp.zeros_like(x[0]))


def _quotient(x: jax.Array, y: jax.Array, power: int) -> jax.Array:
    """Return $(x^m - y^m) / (x - y)$ as a sum of products."""
    value, total = jnp.ones_like(y), jnp.zeros_like(x)
    for _ in range(power):
        value, total = y * value, x * total + value
    return total


def _above(one: Edge, other: Edge) -> jax.Array:
    """Return the sum of the roots minus one."""
    first = one.root[0] < other.root[0]
    small, rest = where(first, one.root, other.root), where(first, other.rest, one.rest)
    head, left = subtract(small, rest)
    return head + left
