"""Subsets of k of n items: the conditional Bernoulli law."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.distribution import LARGEST_LOGIT, Enumerable
from estimators.core.noise import draw_like, logistic
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count, check_precision, is_concrete
from estimators.core.varying import vary_alike

# The log-probability of what cannot be: finite, since differences of infinities are NaN, and far
# below sums of infinite logits.
_FLOOR = -1e30


class SubsetLaw(Enumerable):
    """A law of subsets: samples of zeros and k ones on the last axis, in independent rows."""

    logits: jax.Array
    k: int

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the logits."""
        return jnp.shape(self.logits)

    @property
    def num_states(self) -> int:
        """Number of subsets, to the power of the number of rows."""
        *rows, items = self.event_shape
        return math.comb(items, self.k) ** math.prod(rows)

    def state(self, index: jax.Array) -> jax.Array:
        """Return value number `index` in lexicographic order, if they can be enumerated."""
        self.check_enumerable()
        *rows, items = self.event_shape
        count = math.comb(items, self.k)
        place = np.array([count**row for row in range(math.prod(rows))][::-1], "int32")
        subsets = jax.vmap(lambda rank: _subset(rank, items, self.k))(index // place % count)
        return subsets.reshape(self.event_shape).astype(self.dtype)

    def largest(self, perturbed: jax.Array) -> jax.Array:
        """Return the k largest of each row as a subset, stopped; of equal numbers the first."""
        # Not a comparison with the k-th largest: compiled code may compute the same number twice,
        # and round it differently.
        _, chosen = jax.lax.top_k(jax.lax.stop_gradient(perturbed), self.k)
        return jax.nn.one_hot(chosen, self.event_shape[-1], dtype=self.dtype).sum(-2)

    def canonical(self) -> Self:
        """Return the same law with finite logits, the k-th largest of each row 0.

        NaN if fewer than k logits of a row are above minus infinity, or more than k are infinite.
        """
        centred = self.logits - _centre(self.logits, self.k)
        finite = jnp.clip(centred, -LARGEST_LOGIT, LARGEST_LOGIT)
        return dataclasses.replace(self, logits=finite)

    def check(self) -> None:
        """Raise if the logits are not a float array, or k is not from 1 to n - 1.

        If the logits are concrete, also raise for NaN, or if they do not allow a subset.
        """
        name = type(self).__name__
        check_precision(f"{name} logits", self.logits)
        check_count(f"{name} k", self.k, 1)
        if not self.event_shape or self.event_shape[-1] <= self.k:
            raise ValueError(
                f"{name} logits must have a last axis of more than k = {self.k} items, not shape "
                f"{self.event_shape}"
            )
        if not is_concrete(self.logits):
            return
        logits = np.asarray(self.logits)
        if np.any(np.isnan(logits)):
            raise ValueError(f"{name} logits must not be NaN: {logits}")
        if np.any(np.sum(~np.isneginf(logits), -1) < self.k):
            raise ValueError(f"{name} logits must allow k = {self.k} items, not {logits}")
        if np.any(np.sum(np.isposinf(logits), -1) > self.k):
            raise ValueError(f"{name} logits must not force more than k = {self.k}: {logits}")


@pytree
class Subset(SubsetLaw):
    r"""Exactly k of n items, $P(z) \propto e^{\theta \cdot z}$ for every $z$ of k ones.

    Independent Bernoulli variables of logits $\theta$, given that k of them are one: the
    conditional Bernoulli law, an exponential family. With k = 1 it is `Categorical`. The k largest
    of $\theta$ plus Gumbel noise follow another law, `PlackettLuceSubset`.

    A constant added to all logits changes nothing. An item whose logit is minus infinity is never
    chosen, and one whose logit is plus infinity always; these logits have derivative zero. The
    leading axes are independent subsets.

    All quantities follow from the probabilities that the first i of the Bernoulli variables have j
    ones, in O(nk) operations, in log space. The logits are first shifted so that k ones are the
    mean, hence single precision is enough: the shift leaves no large numbers.

    Args:
        logits: $\theta$, of shape `[..., n]`, float32 or float64. A sample has the same shape and
            dtype, and consists of zeros and, in each row, k ones.
        k: how many, from 1 to n - 1.
    """

    logits: jax.Array
    k: int = static()

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample, item by item from the last one; `key` is consumed."""
        stopped = jax.lax.stop_gradient(self)
        noise = draw_like(logistic, key, stopped.logits)
        return stopped._of_rows(_draw, "(n),(n)->(n)", noise)

    @property
    def mean(self) -> jax.Array:
        """The mean: the probability of each item to be in the subset."""
        return self._of_rows(_marginals, "(n)->(n)")

    def log_partition(self) -> jax.Array:
        r"""Return $\log \sum_z e^{\theta \cdot z}$ in nats, summed over rows.

        Its gradient is the mean.
        """
        # By the log-probability of a sample of no item: log_probs is linear.
        nothing = jnp.zeros(self.event_shape, self.dtype)
        centre = _centre(self.logits, self.k) + self._of_rows(_tilt, "(n)->()")[..., None]
        forced = jnp.where(jnp.any(jnp.isposinf(self.logits)), jnp.inf, 0.0)
        return jnp.sum(self.k * centre - self.log_probs(nothing)) + forced

    def log_probs(self, sample: jax.Array) -> jax.Array:
        r"""Return $\theta \cdot z - \log \sum_{z'} e^{\theta \cdot z'}$ for each row, `[..., 1]`.

        Linear in `sample`, so it extends to vectors z between the corners, of sum k.
        """
        # The law is that of independent bits, given how many are one.
        shifted = self.logits - _centre(self.logits, self.k)
        fixed = jnp.isinf(shifted)
        logits = jnp.where(fixed, 0, shifted) - self._of_rows(_tilt, "(n)->()")[..., None]
        # 0 log 0 is zero, with derivative zero.
        other = jnp.where(shifted > 0, 1 - sample, sample)
        nothing = jnp.where(other > 0, -jnp.inf, 0.0).astype(sample.dtype)
        bits = jnp.where(fixed, nothing, sample * logits - jax.nn.softplus(logits))
        given = self._of_rows(_log_chance, "(n)->()")[..., None]
        return jnp.sum(bits, -1, keepdims=True) - given

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the log-probability in nats; linear in `sample`."""
        return self.log_probs(sample).sum()

    def entropy(self) -> jax.Array:
        """Return the entropy in nats."""
        # log_prob is linear in the sample, so its mean is its value at the mean.
        return -self.log_prob(self.mean)

    def kl(self, other: Self) -> jax.Array:
        """Return the Kullback-Leibler divergence from `self` to `other` in nats."""
        return self.log_prob(self.mean) - other.log_prob(self.mean)

    def _of_rows(
        self, function: Callable[..., jax.Array], signature: str, *more: jax.Array
    ) -> jax.Array:
        """Return a function of each row's finite logits, and of k."""
        of_row = jnp.vectorize(functools.partial(function, self.k), signature=signature)
        return of_row(self.canonical().logits, *more)


def _centre(logits: jax.Array, k: int) -> jax.Array:
    """Return the k-th largest logit of each row, stopped, `[..., 1]`.

    Logits close to it decide what is chosen: they keep their precision when it is subtracted.
    """
    ordered = jnp.sort(jax.lax.stop_gradient(logits), axis=-1, descending=True)
    last, following = ordered[..., k - 1 : k], ordered[..., k : k + 1]
    # Where the first k are forced, the next one if it is finite.
    forced = jnp.isposinf(last) & (following < jnp.inf)
    return jnp.where(forced, jnp.maximum(following, jnp.finfo(logits.dtype).min), last)


def _tilt(k: int, logits: jax.Array) -> jax.Array:
    """Return by how much to lower the logits, so that the mean number of ones is k; stopped."""
    logits = jax.lax.stop_gradient(logits)
    ordered = jnp.sort(logits, descending=True)
    margin = math.log(len(logits))

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        too_low = jax.nn.sigmoid(logits - middle).sum() > k
        return jnp.where(too_low, middle, low), jnp.where(too_low, high, middle)

    # To a thousandth of the margin: what is left changes no result, only its rounding.
    low, high = jax.lax.fori_loop(0, 12, halve, (ordered[k] - margin, ordered[k - 1] + margin))
    return (low + high) / 2


def _fewer(k: int, logits: jax.Array) -> tuple[int, jax.Array]:
    """Return how many to choose, and tilted logits: of what is left out, if that is less."""
    logits = logits - _tilt(k, logits)
    rest = len(logits) - k
    return (rest, -logits) if rest < k else (k, logits)


def _counts(logits: jax.Array, count: int, reverse: bool = False) -> tuple[jax.Array, jax.Array]:
    """Return log-probabilities of 0 to `count` ones among independent bits.

    Among all of them, `[count + 1]`, and among those before each one, `[n, count + 1]`; after each
    one if `reverse`.
    """

    def step(before: jax.Array, bit: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        one, zero = bit
        return _log_add(before + zero, _one_more(before) + one), before

    start = jnp.where(jnp.arange(count + 1) == 0, 0.0, _FLOOR).astype(logits.dtype)
    # Under jax.shard_map the carry must vary over the same devices from the start.
    start, logits = vary_alike(start, logits)
    bits = -jax.nn.softplus(-logits), -jax.nn.softplus(logits)
    return jax.lax.scan(step, start, bits, reverse=reverse)


def _one_more(table: jax.Array) -> jax.Array:
    """Return the entries for one less, `[..., count + 1]`."""
    padding = [(0, 0)] * (table.ndim - 1) + [(1, 0)]
    return jnp.pad(table[..., :-1], padding, constant_values=_FLOOR)


def _log_add(one: jax.Array, other: jax.Array) -> jax.Array:
    """Return the logarithm of a sum, of finite numbers, by elementary operations.

    JAX drops the own derivative rule of `jnp.logaddexp` from a scan that was differentiated once;
    the second derivative at equal numbers would be wrong.
    """
    largest = jax.lax.stop_gradient(jnp.maximum(one, other))
    return largest + jnp.log(jnp.exp(one - largest) + jnp.exp(other - largest))


def _log_chance(k: int, logits: jax.Array) -> jax.Array:
    """Return the log-probability that k of the tilted bits are one."""
    count, logits = _fewer(k, logits)
    return _counts(logits, count)[0][-1]


def _marginals(k: int, logits: jax.Array) -> jax.Array:
    """Return the probability of each bit to be one, given that k are."""
    count, folded = _fewer(k, logits)
    before, after = (_counts(folded, count, reverse)[1] for reverse in (False, True))
    # The others have one less if the bit is one.
    after = after[:, ::-1]
    if_zero = jax.nn.logsumexp(before + after, axis=-1)
    if_one = jax.nn.logsumexp(before[:, :-1] + after[:, 1:], axis=-1)
    odds = folded + if_one - if_zero
    return jax.nn.sigmoid(odds if count == k else -odds)


def _draw(k: int, logits: jax.Array, noise: jax.Array) -> jax.Array:
    """Return bits of which k are one, from logistic noise."""
    count, folded = _fewer(k, logits)
    flipped = count != k
    _, before = _counts(folded, count)
    odds = folded[:, None] + _one_more(before) - before
    noise = -noise if flipped else noise

    def choose(left: jax.Array, item: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        odds, noise = item
        chosen = _entry(odds, left) + noise > 0
        return left - chosen.astype("int32"), chosen

    # The first step is outside the scan, so that the carry is one of many, or varies over devices,
    # from the start where noise is.
    left, last = choose(jnp.asarray(count, "int32"), (odds[-1], noise[-1]))
    _, chosen = jax.lax.scan(choose, left, (odds[:-1], noise[:-1]), reverse=True)
    chosen = jnp.append(chosen, last)
    return jnp.where(flipped, ~chosen, chosen).astype(logits.dtype)


def _subset(rank: jax.Array, items: int, k: int) -> jax.Array:
    """Return the subset of a rank in lexicographic order, `[n]` zeros and ones."""
    largest = np.iinfo("int32").max
    # Of the later items, in how many ways are 0 to k chosen?
    ways = [[min(math.comb(rest, j), largest) for j in range(k + 1)] for rest in range(items)]

    def choose(
        carry: tuple[jax.Array, jax.Array], ways: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        rank, left = carry
        without = _entry(ways, left)
        chosen = rank >= without
        return (rank - jnp.where(chosen, without, 0), left - chosen.astype("int32")), chosen

    start = vary_alike(rank, jnp.asarray(k, "int32"))
    return jax.lax.scan(choose, start, jnp.asarray(ways[::-1], "int32"))[1]


def _entry(table: jax.Array, index: jax.Array) -> jax.Array:
    """Return an entry by a sum: on a mesh with explicit axes JAX cannot shard a gather."""
    here = index == jnp.arange(len(table), dtype="int32")
    return jnp.sum(jnp.where(here, table, 0), dtype=table.dtype)
