"""The class orders used by CARMS, and the resulting weights of pairs."""

import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators.antithetic.compensated import Pair, add, cumsum, subtract, where
from estimators.antithetic.copula import Interval, repelling, repulsion
from estimators.core.evaluate import evaluate_all

# Orders are processed in blocks. Limits: numbers per array of a block, and arrays held at once.
_NUMBERS = 2**17
_ARRAYS = 16


def num_orders(count: int) -> int:
    """Return the number of orders of `count` classes."""
    return count * (count - 1) // 2


def _starts(count: int) -> np.ndarray:
    """Return the index of the first order that starts with each class, and the number of orders."""
    return np.append(0, np.cumsum(np.arange(count - 1, 0, -1))).astype("int32")


def nth_order(number: jax.Array, count: int) -> jax.Array:
    """Return the orders `[D, K]` of K classes with the indices `[D]`.

    Each belongs to a pair of classes a < b: it begins with a, continues cyclically from the class
    after b, skipping a, and ends with b.
    """
    starts = _starts(count)
    number = jnp.minimum(number, starts[-1] - 1)
    # Not `searchsorted`, as below, which cannot be sharded over explicit axes.
    first = (number[:, None] >= starts[None, 1:]).sum(-1, dtype="int32")
    last = count - 1 - (number - jnp.asarray(starts)[first])
    # Positions in the ring without a, starting after a.
    place = (jnp.arange(count - 1, dtype="int32")[None] + (last - first)[:, None]) % (count - 1)
    return jnp.concatenate([first[:, None], (first[:, None] + 1 + place) % count], -1)


class _Arcs(NamedTuple):
    """Total probabilities of the classes on each side of the drawn one in the ring of classes.

    Classes strictly between the last and the drawn one, `[n, K]` by last class; classes after the
    drawn one up to and including the last, `[n, K]`; all classes but the drawn one, `[n, 1]`. Each
    is summed separately, since subtraction would lose small numbers.
    """

    before: Pair
    after: Pair
    others: Pair


def _arcs(chance: jax.Array, drawn: jax.Array) -> _Arcs:
    number, place = jnp.arange(chance.size, dtype="int32")[None], drawn[:, None]

    def beside(step: int, count: jax.Array) -> Pair:
        """Return the sums over the nearest `count` (modulo K) classes on one side."""
        near = jnp.where(number > 0, chance[(place + step * number) % chance.size], 0)
        head, left = cumsum(near)
        count = count % chance.size
        return jnp.take_along_axis(head, count, 1), jnp.take_along_axis(left, count, 1)

    all_others = beside(1, jnp.full_like(place, -1))
    return _Arcs(beside(-1, place - 1 - number), beside(1, number - place), all_others)


def pair_weights(chance: jax.Array, drawn: jax.Array) -> jax.Array:
    """Return the weights of pairs of samples, `[pairs, D]`: r of `CARMS`.

    The probability of their classes under independence, divided by its average over orders.

    Args:
        chance: probabilities of the classes, `[D, K]`.
        drawn: classes of the samples, `[n, D]`.
    """
    (count, size), classes = drawn.shape, chance.shape[1]
    numbers = count * (count + 1) // 2 * classes
    # A block of orders takes little memory, or at most that of the classes' sums.
    block = min(max(1, num_orders(classes)), max(classes, _NUMBERS * classes // (size * numbers)))
    ratios = evaluate_all(
        lambda variable: _ratios(variable[0], variable[1], block),
        (chance, drawn.T),
        (_ARRAYS, numbers),
    )
    return ratios.T


def _ratios(chance: jax.Array, drawn: jax.Array, block: int) -> jax.Array:
    """Return the weights `[pairs]` of one variable, processing `block` orders at once."""
    count, classes = drawn.size, chance.size
    pairs, orders = np.triu_indices(count, 1), num_orders(classes)
    own, place = chance[drawn], drawn[:, None]
    # A class of probability zero gets a positive length too; its weight is zero.
    length = jnp.maximum(own, jnp.finfo(own.dtype).tiny)[:, None]
    nothing = jnp.zeros_like(length), jnp.zeros_like(length)
    arcs, starts = _arcs(chance, drawn), _starts(classes)

    def together(number: jax.Array) -> jax.Array:
        """Return the sum over the orders of a block."""
        first = jnp.searchsorted(starts[1:-1], number, side="right").astype("int32")
        last = classes - 1 - (jnp.minimum(number, orders - 1) - jnp.asarray(starts)[first])
        first, last = first[None], last[None]
        its = chance[first], jnp.zeros_like(chance[first])
        before, after = jax.tree.map(lambda sums: sums[:, last[0]], (arcs.before, arcs.after))
        # Whether the first class lies between the last and the drawn one in the full ring.
        skips = (place - first) % classes <= (place - 1 - last) % classes
        before = where(skips, before, add(before, its))
        # The cancellation is negligible compared with the first class's probability, which lies
        # before.
        rest = subtract(after, its)
        after = where(skips, after, where(rest[0] > 0, rest, nothing))
        is_first = place == first
        before, after = where(is_first, nothing, before), where(is_first, arcs.others, after)
        each = repelling(Interval(before, length, after), count)
        one, other = (jax.tree.map(operator.itemgetter(which), each) for which in pairs)
        return jnp.where(number[None] < orders, repulsion(one, other, count), 0).sum(1)

    def step(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        return total + together(number * block + jnp.arange(block, dtype="int32")), None

    blocks = jnp.arange(-(-orders // block), dtype="int32")
    total, _ = jax.lax.scan(step, jnp.zeros_like(own[pairs[0]]), blocks)
    # In the order that puts them first and last, they occur at least as often as if independent.
    ratio = orders / jnp.maximum(total, 1)
    return jnp.where((own[pairs[0]] > 0) & (own[pairs[1]] > 0), ratio, 0)
