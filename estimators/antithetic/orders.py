"""The orders in which CARMS lays out K classes, and the weights of pairs that follow."""

import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators.antithetic.compensated import Pair, add, cumsum, subtract, where
from estimators.antithetic.copula import Interval, repelling, repulsion
from estimators.core.evaluate import evaluate_all

# Orders are looked at some at a time: numbers in an array over them, and arrays held at once.
_NUMBERS = 2**17
_ARRAYS = 16


def num_orders(count: int) -> int:
    """Return how many there are of K classes."""
    return count * (count - 1) // 2


def _starts(count: int) -> np.ndarray:
    """Return the number of the first order of each first class, and of what follows the last."""
    return np.append(0, np.cumsum(np.arange(count - 1, 0, -1))).astype("int32")


def nth_order(number: jax.Array, count: int) -> jax.Array:
    """Return some of the orders of K classes: `[D, K]` of the numbers `[D]`.

    Each is of a pair of classes a < b, the first and the last of it: a, then in a ring those after
    b up to b, but for a.
    """
    starts = _starts(count)
    number = jnp.minimum(number, starts[-1] - 1)
    # No `searchsorted`, unlike below: it is not sharded on explicit axes.
    first = (number[:, None] >= starts[None, 1:]).sum(-1, dtype="int32")
    last = count - 1 - (number - jnp.asarray(starts)[first])
    # In the ring without a, after a.
    place = (jnp.arange(count - 1, dtype="int32")[None] + (last - first)[:, None]) % (count - 1)
    return jnp.concatenate([first[:, None], (first[:, None] + 1 + place) % count], -1)


class _Arcs(NamedTuple):
    """Chances of the classes beside a drawn one in the ring of all, `[n, K]` for each last one.

    Those from the last to the drawn, without both; from the drawn to the last, with it; all but the
    drawn, `[n, 1]`. Each is a sum of its own: a difference would lose what is small.
    """

    before: Pair
    after: Pair
    others: Pair


def _arcs(chance: jax.Array, drawn: jax.Array) -> _Arcs:
    number, place = jnp.arange(chance.size, dtype="int32")[None], drawn[:, None]

    def beside(step: int, count: jax.Array) -> Pair:
        """Return the sums of the nearest classes on one side, as many as said (modulo K)."""
        near = jnp.where(number > 0, chance[(place + step * number) % chance.size], 0)
        head, left = cumsum(near)
        count = count % chance.size
        return jnp.take_along_axis(head, count, 1), jnp.take_along_axis(left, count, 1)

    all_others = beside(1, jnp.full_like(place, -1))
    return _Arcs(beside(-1, place - 1 - number), beside(1, number - place), all_others)


def pair_weights(chance: jax.Array, drawn: jax.Array) -> jax.Array:
    """Return `[pairs, D]`: the chance of two classes if independent, over their chance in mean.

    Args:
        chance: `[D, K]`.
        drawn: the samples' classes, `[n, D]`.
    """
    (count, size), classes = drawn.shape, chance.shape[1]
    numbers = count * (count + 1) // 2 * classes
    # A block of orders takes as much as the sums of all classes do, or little.
    block = min(max(1, num_orders(classes)), max(classes, _NUMBERS * classes // (size * numbers)))
    ratios = evaluate_all(
        lambda variable: _ratios(variable[0], variable[1], block),
        (chance, drawn.T),
        (_ARRAYS, numbers),
    )
    return ratios.T


def _ratios(chance: jax.Array, drawn: jax.Array, block: int) -> jax.Array:
    """Return those `[pairs]` of one variable, looking at some of the orders at once."""
    count, classes = drawn.size, chance.size
    pairs, orders = np.triu_indices(count, 1), num_orders(classes)
    own, place = chance[drawn], drawn[:, None]
    # Also a class that is never drawn has a length, and no weight.
    length = jnp.maximum(own, jnp.finfo(own.dtype).tiny)[:, None]
    nothing = jnp.zeros_like(length), jnp.zeros_like(length)
    arcs, starts = _arcs(chance, drawn), _starts(classes)

    def together(number: jax.Array) -> jax.Array:
        """Return the sum over some orders."""
        first = jnp.searchsorted(starts[1:-1], number, side="right").astype("int32")
        last = classes - 1 - (jnp.minimum(number, orders - 1) - jnp.asarray(starts)[first])
        first, last = first[None], last[None]
        its = chance[first], jnp.zeros_like(chance[first])
        before, after = jax.tree.map(lambda sums: sums[:, last[0]], (arcs.before, arcs.after))
        # Whether the first class is between the last and the drawn, in the ring of all.
        skips = (place - first) % classes <= (place - 1 - last) % classes
        before = where(skips, before, add(before, its))
        # What this may lose is nothing beside the chance of the first, which lies before.
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
    # As first and last class they meet at least as often as if independent, in one order.
    ratio = orders / jnp.maximum(total, 1)
    return jnp.where((own[pairs[0]] > 0) & (own[pairs[1]] > 0), ratio, 0)
