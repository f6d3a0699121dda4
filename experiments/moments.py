"""Streaming moments of gradient samples: the measurement engine.

Gradients are drawn one chunk per scan step and never stored: a block of samples leaves its sum, its
sum of squares and its sums of statistics. Blocks are sharded over the devices. Everything that
follows (bias, variance, intervals) is computed on the host in float64 from the sums of the blocks.
"""

import dataclasses
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
_LARGEST_CHUNK = 4096

Gradient = Callable[[Any, Any, jax.Array], Any]
"""`gradient(estimator, context, key)` returns one gradient sample, a pytree."""


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Sums over blocks of gradient samples, about a centre; P coordinates, R blocks of b samples.

    Attributes:
        centre: `[P]`, what was subtracted from every sample.
        sums: `[R, P]`, sums of (g - centre).
        squares: `[R, P]`, sums of (g - centre) squared.
        cosines: `[R]`, sums of the cosines between g and the centre.
        size: b.
        seconds: `[rounds]`, time per gradient of each round after the first, which compiles.
    """

    centre: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    cosines: np.ndarray
    size: int
    seconds: np.ndarray

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.size * len(self.sums)

    @property
    def offset(self) -> np.ndarray:
        """Mean less the centre, `[P]`."""
        return self.sums.sum(0) / self.count

    @property
    def mean(self) -> np.ndarray:
        """Mean gradient, `[P]`."""
        return self.centre + self.offset

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance of each coordinate of one gradient, `[P]`."""
        spread = self.squares.sum(0) - self.count * self.offset**2
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
        self._compiled = jax.jit(self._sharded, static_argnames="stacked")
        self._chunks: dict[Any, int] = {}

    def draw(
        self,
        estimator: Any,
        context: Any,
        key: jax.Array,
        num_samples: int,
        centre: Any,
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
            centre: a pytree like a gradient, near its mean (the true gradient, if known).
            stacked: whether `estimator` is a stack.
            progress: called with the fraction done after every round.

        Returns:
            One `Blocks` for each member of the stack, or one alone.
        """
        size = -(-num_samples // NUM_BLOCKS)
        chunk = self._chunk(estimator, context, centre, size, stacked)
        keys = jax.random.split(key, (NUM_BLOCKS, size // chunk, chunk))
        at_once = max(self.mesh.size, 4)
        seconds, rounds = [], []
        for first in range(0, NUM_BLOCKS, at_once):
            start = time.perf_counter()
            some = keys[first : first + at_once]
            rounds.append(
                jax.device_get(self._compiled(estimator, context, centre, some, stacked=stacked))
            )
            seconds.append((time.perf_counter() - start) / (at_once * size))
            if progress:
                progress((first + at_once) / NUM_BLOCKS)
        return _gather(rounds, centre, size, np.asarray(seconds[1:] or seconds), stacked)

    def _chunk(self, estimator, context, centre, size, stacked) -> int:
        """Gradients per step: a divisor of the block's size, from the memory that one takes."""
        device = self.mesh.devices.flat[0]
        lanes = len(jax.tree.leaves(estimator)[0]) if stacked else 1
        if device.platform == "cpu":
            room, one = _CACHE_BYTES, lanes * _num_bytes(centre)
        else:
            statistics = device.memory_stats() or {}
            room = _MEMORY_SHARE * statistics.get("bytes_limit", 2**33)
            one = self._memory(estimator, context, centre, stacked)
        most = int(min(max(room // max(one, 1), 1), _LARGEST_CHUNK, size))
        return max(chunk for chunk in range(1, most + 1) if size % chunk == 0)

    def _memory(self, estimator, context, centre, stacked) -> int:
        """Bytes that one gradient takes while it is computed, as the compiler plans it."""
        structure = jax.tree.structure((estimator, context)), stacked
        if structure not in self._chunks:
            keys = jax.random.split(jax.random.key(0), (self.mesh.size, 1, 1))
            lowered = self._compiled.lower(estimator, context, centre, keys, stacked=stacked)
            analysis = lowered.compile().memory_analysis()
            temporary = analysis.temp_size_in_bytes if analysis else 0
            self._chunks[structure] = temporary + _num_bytes(centre)
        return self._chunks[structure]

    def _sharded(self, estimator, context, centre, keys, *, stacked):
        per_device = jax.vmap(self._blocks, (0, None, None, None)) if stacked else self._blocks
        out = PartitionSpec(None, _AXIS) if stacked else PartitionSpec(_AXIS)

        def local(operands, keys):
            # Without this, gradients with respect to replicated parameters are summed over devices.
            operands = jax.lax.pcast(operands, _AXIS, to="varying")
            return per_device(*operands, keys)

        sharded = jax.shard_map(
            local, mesh=self.mesh, in_specs=(PartitionSpec(), PartitionSpec(_AXIS)), out_specs=out
        )
        return sharded((estimator, context, centre), keys)

    def _blocks(self, estimator, context, centre, keys):
        """Return the sums of each block of `[blocks, steps, chunk]` keys."""
        norm = _norm(centre)

        def one(key):
            gradient = self.gradient(estimator, context, key)
            lengths = _norm(gradient) * norm
            cosine = _dot(gradient, centre) / jnp.where(lengths > 0, lengths, 1)
            deviation = jax.tree.map(jnp.subtract, gradient, centre)
            return deviation, jax.tree.map(jnp.square, deviation), cosine

        def step(sums, keys):
            if keys.shape[0] == 1:
                drawn = one(keys[0])
            else:
                drawn = jax.tree.map(lambda x: x.sum(0), jax.vmap(one)(keys))
            return jax.tree.map(jnp.add, sums, drawn), None

        def block(keys):
            zero = jax.tree.map(jnp.zeros_like, (centre, centre, norm))
            return jax.lax.scan(step, zero, keys)[0]

        return jax.lax.map(block, keys)


def flat(tree: Any) -> np.ndarray:
    """Return a pytree of arrays as one float64 vector."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def _gather(rounds, centre, size, seconds, stacked) -> list[Blocks]:
    axis = 1 if stacked else 0
    sums, squares, cosines = jax.tree.map(lambda *parts: np.concatenate(parts, axis), *rounds)

    def matrix(tree):
        leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]
        return np.concatenate([x.reshape(*x.shape[: axis + 1], -1) for x in leaves], -1)

    fields = matrix(sums), matrix(squares), np.asarray(cosines, np.float64)
    members = zip(*fields, strict=True) if stacked else [fields]
    return [Blocks(flat(centre), *member, size, seconds) for member in members]


def _dot(a, b):
    return sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def _norm(tree):
    return jnp.sqrt(_dot(tree, tree))


def _num_bytes(tree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
