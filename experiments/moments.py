"""Streaming moments of gradient samples: the measurement engine.

Gradients are drawn one chunk per scan step and never stored: a block of samples leaves its sum, its
sum of squares and its sums of statistics. Blocks are sharded over the devices. Everything that
follows (bias, variance, intervals) is computed on the host in float64 from the sums of the blocks.
"""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

NUM_BLOCKS = 32
"""Blocks of one measurement: enough for intervals, few enough to keep their sums."""

_AXIS = "samples"
# A chunk of gradients should stay in a core's cache; an accelerator wants all that its memory
# takes.
_CACHE_BYTES = 2**18
_MEMORY_SHARE = 0.25
_LARGEST_CHUNK = 2**14

Gradient = Callable[[Any, Any, jax.Array], Any]
"""`gradient(estimator, context, key)` returns one gradient sample, a pytree."""


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Sums over blocks of gradient samples, about a centre; P coordinates, R blocks of b samples.

    Attributes:
        centre: `[P]`, what was subtracted from every sample.
        sums: `[R, P]`, sums of (g - centre) over each block, in the gradients' own precision.
        squares: `[P]`, sums of (g - centre) squared over all samples.
        distances: `[R]`, sums of |g - centre|^2 over each block.
        cosines: `[R]`, sums of the cosines between g and the centre; nan without a centre.
        size: b.
        seconds: `[rounds]`, time per gradient of each round after the first, which compiles.
    """

    centre: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    distances: np.ndarray
    cosines: np.ndarray
    size: int
    seconds: np.ndarray

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.size * len(self.sums)

    @property
    def total(self) -> np.ndarray:
        """Sum of (g - centre) over all samples, `[P]`."""
        return self.sums.sum(0, dtype=np.float64)

    @property
    def offset(self) -> np.ndarray:
        """Mean less the centre, `[P]`."""
        return self.total / self.count

    @property
    def mean(self) -> np.ndarray:
        """Mean gradient, `[P]`."""
        return self.centre + self.offset

    @property
    def means(self) -> np.ndarray:
        """Mean gradient of each block, `[R, P]`."""
        return self.centre + self.sums / self.size

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance of each coordinate of one gradient, `[P]`."""
        spread = self.squares - self.count * self.offset**2
        return np.maximum(spread, 0) / (self.count - 1)


class Sampler:
    """Draws gradient samples on all devices; compiled once per structure of its arguments."""

    def __init__(self, gradient: Gradient, devices: list | None = None):
        """Prepare to draw.

        Args:
            gradient: `gradient(estimator, context, key)`, one sample as a pytree. `context` is
                whatever else it needs as arrays: parameters, a minibatch.
            devices: the devices to spread the samples over; all of them unless given.
        """
        devices = jax.devices() if devices is None else devices
        # Every count of devices must divide the blocks, so that it never changes the samples.
        count = math.gcd(len(devices), NUM_BLOCKS)
        self.gradient = gradient
        self.mesh = jax.make_mesh((count,), (_AXIS,), (AxisType.Auto,), devices=devices[:count])
        self._compiled = jax.jit(self._sharded, static_argnames=("size", "chunk", "stacked"))
        self._chunks: dict[Any, int] = {}

    def draw(
        self,
        estimator: Any,
        context: Any,
        key: jax.Array,
        num_samples: int,
        centre: Any | None = None,
        *,
        stacked: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> list[Blocks]:
        """Draw gradient samples.

        Args:
            estimator: the first argument of `gradient`; with `stacked`, a stack of them, which all
                see the same keys.
            context: the second argument of `gradient`.
            key: a typed random key, consumed. The samples depend on it and on `num_samples` alone,
                not on the devices.
            num_samples: at least this many gradients are drawn, rounded up to whole blocks.
            centre: a pytree like a gradient, near its mean (the true gradient, if known). Zero
                unless given; then there are no cosines (nan).
            stacked: whether `estimator` is a stack.
            progress: called with the fraction done after every round.

        Returns:
            One `Blocks` for each member of the stack, or one alone.
        """
        shape = self._shape(estimator, context, key, stacked) if centre is None else centre
        size = -(-num_samples // NUM_BLOCKS)
        chunk = self._chunk(estimator, context, shape, size, stacked)
        numbers = np.arange(NUM_BLOCKS, dtype=np.uint32)
        at_once = max(self.mesh.size, 4)
        gathered = _Gathered.empty(shape, _num_members(estimator) if stacked else 1)
        operands = estimator, context, centre, key

        def launch(rows: slice):
            return self._compiled(operands, numbers[rows], size=size, chunk=chunk, stacked=stacked)

        rounds = [slice(first, first + at_once) for first in range(0, NUM_BLOCKS, at_once)]
        ends, running = [time.perf_counter()], launch(rounds[0])
        for rows, following in itertools.zip_longest(rounds, rounds[1:]):
            # The devices draw the following round while this one is gathered.
            sums, running = running, following and launch(following)
            jax.block_until_ready(sums)
            ends.append(time.perf_counter())
            gathered.place(rows, *sums)
            if progress:
                progress(rows.stop / NUM_BLOCKS)
        seconds = np.diff(ends) / (at_once * size)
        origin = np.zeros(_num_coordinates(shape)) if centre is None else flat(centre)
        return gathered.blocks(origin, size, seconds[1:] if len(rounds) > 1 else seconds)

    def _shape(self, estimator, context, key, stacked) -> Any:
        """Return the shapes and types of one gradient."""
        if stacked:
            estimator = jax.tree.map(lambda leaf: leaf[0], estimator)
        return jax.eval_shape(self.gradient, estimator, context, key)

    def _chunk(self, estimator, context, shape, size, stacked) -> int:
        """Gradients per step: a divisor of the block's size, from the memory that one takes."""
        device = self.mesh.devices.flat[0]
        if device.platform == "cpu":
            room = _CACHE_BYTES
            one = _num_bytes(shape) * (_num_members(estimator) if stacked else 1)
        else:
            statistics = device.memory_stats() or {}
            room = _MEMORY_SHARE * statistics.get("bytes_limit", 2**33)
            one = self._memory(estimator, context, shape, stacked)
        most = int(min(max(room // max(one, 1), 1), _LARGEST_CHUNK, size))
        return max(chunk for chunk in range(1, most + 1) if size % chunk == 0)

    def _memory(self, estimator, context, shape, stacked) -> int:
        """Bytes that one gradient takes while it is computed, as the compiler plans it."""
        structure = jax.tree.structure((estimator, context)), stacked
        if structure not in self._chunks:
            operands = estimator, context, None, jax.random.key(0)
            numbers = np.arange(self.mesh.size, dtype=np.uint32)
            lowered = self._compiled.lower(operands, numbers, size=1, chunk=1, stacked=stacked)
            analysis = lowered.compile().memory_analysis()
            temporary = analysis.temp_size_in_bytes if analysis else 0
            self._chunks[structure] = temporary + _num_bytes(shape)
        return self._chunks[structure]

    def _sharded(self, operands, numbers, *, size, chunk, stacked):
        per_device = functools.partial(self._blocks, size=size, chunk=chunk)
        if stacked:
            per_device = jax.vmap(per_device, (0, None, None, None, None))
        out = PartitionSpec(None, _AXIS) if stacked else PartitionSpec(_AXIS)

        sharded = jax.shard_map(
            lambda operands, numbers: per_device(*operands, numbers),  # pyright: ignore[reportCallIssue]
            mesh=self.mesh,
            in_specs=(PartitionSpec(), PartitionSpec(_AXIS)),
            out_specs=out,
            # Else JAX sums gradients with respect to what all devices share over the devices, and
            # wants every scan inside a user's f to say what varies.
            check_vma=False,
        )
        return sharded(operands, numbers)

    def _blocks(self, estimator, context, centre, key, numbers, *, size, chunk):
        """Return the sums of the blocks of these numbers, `size` samples each."""

        def one(index):
            return _terms(self.gradient(estimator, context, sample_key(key, index)), centre)

        def several(first):
            if chunk == 1:
                return one(first)
            drawn = jax.vmap(one)(first + jnp.arange(chunk, dtype=first.dtype))
            return jax.tree.map(lambda x: x.sum(0), drawn)

        def block(number):
            def step(sums, first):
                return jax.tree.map(jnp.add, sums, several(first)), None

            if centre is None:
                terms = jax.eval_shape(several, number)
            else:  # known without tracing the gradient once more
                terms = centre, centre, _norm(centre)
            zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), terms)
            firsts = number * size + jnp.arange(0, size, chunk, dtype=number.dtype)
            return jax.lax.scan(step, zero, firsts)[0]

        return jax.lax.map(block, numbers)


def sample_key(key: jax.Array, index: jax.Array) -> jax.Array:
    """Return the key of one sample: a counter added to the hash of the measurement's key.

    Threefry's keys need only differ (Salmon et al. 2011), so nothing is hashed for each sample,
    which would be half of the time that a toy takes.
    """
    hashed = jax.random.fold_in(key, 0)
    words = jax.random.key_data(hashed).at[-1].add(index.astype("uint32"))
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))


def _terms(gradient, centre):
    """Return what one gradient adds to the sums: itself, its square and its cosine."""
    if centre is None:
        return gradient, jax.tree.map(jnp.square, gradient), None
    lengths = _norm(gradient) * _norm(centre)
    cosine = _dot(gradient, centre) / jnp.where(lengths > 0, lengths, 1)
    deviation = jax.tree.map(jnp.subtract, gradient, centre)
    return deviation, jax.tree.map(jnp.square, deviation), cosine


@dataclasses.dataclass(frozen=True)
class _Gathered:
    """What `Blocks` holds, of every member: `[members, R, P]`, `[members, P]`, `[members, R]`."""

    sums: np.ndarray
    squares: np.ndarray
    distances: np.ndarray
    cosines: np.ndarray

    @classmethod
    def empty(cls, shape: Any, members: int) -> "_Gathered":
        size = members, NUM_BLOCKS, _num_coordinates(shape)
        # Most of the memory that a measurement takes: no wider than what the devices send.
        sums = np.empty(size, np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(shape))))
        rows = size[:2]
        return cls(sums, np.zeros((members, size[2])), np.zeros(rows), np.full(rows, np.nan))

    def place(self, rows: slice, sums, squares, cosines) -> None:
        start, part = 0, self.distances[:, rows]
        leaves = jax.tree.leaves(sums), jax.tree.leaves(squares)
        for pair in zip(*leaves, strict=True):
            total, square = (np.asarray(leaf).reshape(*part.shape, -1) for leaf in pair)
            columns = slice(start, start := start + total.shape[-1])
            self.sums[:, rows, columns] = total
            self.squares[:, columns] += square.sum(1, dtype=np.float64)
            part += square.sum(2, dtype=np.float64)
        if cosines is not None:
            self.cosines[:, rows] = cosines

    def blocks(self, centre, size, seconds) -> list[Blocks]:
        members = zip(self.sums, self.squares, self.distances, self.cosines, strict=True)
        return [Blocks(centre, *member, size, seconds) for member in members]


def flat(tree: Any) -> np.ndarray:
    """Return a pytree of arrays as one float64 vector."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def _dot(a, b):
    return sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def _norm(tree):
    return jnp.sqrt(_dot(tree, tree))


def _num_bytes(tree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _num_coordinates(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _num_members(stack) -> int:
    return len(jax.tree.leaves(stack)[0])
