"""Streaming moments of gradient samples: the measurement engine.

Gradients are drawn one chunk per scan step and never stored. Only sums over blocks of samples are
kept (`Blocks`): first and second moments, cosines, and powers that describe the tail. Blocks are
sharded over the devices. Bias, variance and their intervals are computed from these sums on the
host, in float64.
"""

import dataclasses
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.flatten_util import ravel_pytree
from jax.interpreters import partial_eval
from jax.sharding import AxisType, PartitionSpec

from experiments.statistics.blocks import NUM_BLOCKS, Blocks
from experiments.system.device import quick_compilation

_AXIS = "samples"
CACHE_BYTES = 2**18
"""Maximum bytes of a chunk of gradients on a CPU."""

# The same as a fraction of an accelerator's memory.
_MEMORY_SHARE = 0.25
_LARGEST_CHUNK = 2**14
# The centre moves to the mean where their squared distance exceeds this share of the variance.
_OFF_CENTRE = 0.05
# Deviations whose binary exponent is larger in magnitude are scaled before they are squared.
_EXPONENT = 24

Gradient = Callable[[Any, Any, jax.Array], Any]
"""`gradient(estimator, context, key)` returns one gradient sample, a pytree."""

Views = Callable[[Any], Sequence[Any]]
"""Returns parts of a gradient, such as those of groups of parameters; they may overlap."""


def _whole(gradient: Any) -> Sequence[Any]:
    return [gradient]


class Sampler:
    """Draws gradient samples on all devices; compiled once per structure of its arguments."""

    def __init__(self, gradient: Gradient, devices: list | None = None, views: Views = _whole):
        """Prepare to draw.

        Args:
            gradient: `gradient(estimator, context, key)`, one sample as a pytree. `context` holds
                all other arrays it needs: parameters, a minibatch.
            devices: the devices to spread the samples over; by default, all.
            views: the parts of a gradient whose moments are measured; by default, the whole.
        """
        devices = jax.devices() if devices is None else devices
        # The number of blocks must be a multiple of any device count, so that it never changes
        # samples.
        count = math.gcd(len(devices), NUM_BLOCKS)
        self.gradient, self.views = gradient, views
        self.mesh = jax.make_mesh((count,), (_AXIS,), (AxisType.Auto,), devices=devices[:count])
        self._compiled = jax.jit(
            self._sharded,
            static_argnames=("chunk", "stacked"),
            compiler_options=quick_compilation(),
        )
        self._chunks: dict[Any, int] = {}

    def draw(
        self,
        estimator: Any,
        context: Any,
        key: jax.Array,
        num_samples: int,
        truth: Any | None = None,
        *,
        stacked: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> list[Blocks]:
        """Draw gradient samples, of which one view is measured.

        The arguments are those of `draw_views`.

        Returns:
            One `Blocks` per member of the stack, or a single one.

        Raises:
            ValueError: if the sampler has several views.
        """
        (view,) = self.draw_views(
            estimator, context, key, num_samples, truth, stacked=stacked, progress=progress
        )
        return view

    def draw_views(
        self,
        estimator: Any,
        context: Any,
        key: jax.Array,
        num_samples: int,
        truth: Any | None = None,
        *,
        stacked: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> list[list[Blocks]]:
        """Draw gradient samples; each is computed once for all views.

        Args:
            estimator: the first argument of `gradient`; with `stacked`, a stack of estimators,
                which all use the same keys.
            context: the second argument of `gradient`.
            key: a typed random key, consumed. The samples depend on it and on `num_samples` alone,
                not on the devices or the views.
            num_samples: the minimum number of gradients, rounded up to whole blocks; a gradient
                that does not depend on the key is computed once for each block.
            truth: the true gradient, a pytree like one sample. Sums are centred on it, or on a mean
                of the samples if that is far from it; without a truth they are centred on zero, and
                cosines are nan.
            stacked: whether `estimator` is a stack.
            progress: called with the fraction done after every round.

        Returns:
            For each view, one `Blocks` per member of the stack, or a single one.
        """
        shapes, members, steps, static = self._plan(
            estimator, context, key, num_samples, truth, stacked
        )
        size = int(steps) * static["chunk"]
        numbers = np.arange(NUM_BLOCKS, dtype=np.uint32)
        gathered = [_Gathered.empty(shape, members) for shape in shapes]
        truths = [None for _ in shapes] if truth is None else shapes
        abouts = [_About.first(one, members, stacked) for one in truths]

        def launch(rows: slice):
            operands = _operands(estimator, abouts, context, key, steps)
            return self._compiled(operands, numbers[rows], **static)

        at_once = self._at_once
        rounds = [slice(first, first + at_once) for first in range(0, NUM_BLOCKS, at_once)]
        running = launch(rounds[0])
        if truth is not None:
            for _ in range(2):  # a new scale may reveal a bad centre, and vice versa
                better = []
                for about, shape, sums in zip(abouts, shapes, running, strict=True):
                    probe = _Gathered.empty(shape, members)
                    probe.place(rounds[0], *sums, scale=about.scale)
                    better.append(about.better(probe, size, stacked))
                if all(new is old for new, old in zip(better, abouts, strict=True)):
                    break
                abouts = better
                running = launch(rounds[0])
        for rows, following in itertools.zip_longest(rounds, rounds[1:]):
            # The devices draw the next round while this one is gathered.
            each, running = running, following and launch(following)
            jax.block_until_ready(each)
            for found, about, sums in zip(gathered, abouts, each, strict=True):
                found.place(rows, *sums, scale=about.scale)
            if progress:
                progress(rows.stop / NUM_BLOCKS)
        return [
            found.blocks(about.vectors(shape, members), size)
            for found, about, shape in zip(gathered, abouts, shapes, strict=True)
        ]

    def compile(
        self,
        estimator: Any,
        context: Any,
        key: jax.Array,
        num_samples: int,
        truth: Any | None = None,
        *,
        stacked: bool = False,
    ) -> None:
        """Compile what `draw` runs with arguments of these shapes and types, also in a thread."""
        shapes, members, steps, static = self._plan(
            estimator, context, key, num_samples, truth, stacked
        )
        truths = [None for _ in shapes] if truth is None else shapes
        abouts = [_About.first(one, members, stacked) for one in truths]
        operands = _operands(estimator, abouts, context, key, steps)
        numbers = np.arange(self._at_once, dtype=np.uint32)
        self._compiled.lower(operands, numbers, **static).compile()

    @property
    def _at_once(self) -> int:
        """The number of blocks per call."""
        return max(self.mesh.size, 4)

    def _plan(self, estimator, context, key, num_samples, truth, stacked):
        """Return the shape of each view, the members, the steps of a block and static arguments.

        The number of steps is an operand, so that one program serves all numbers of samples.
        """
        whole = self._shape(estimator, context, key, stacked) if truth is None else truth
        shapes = self.views(whole)
        is_random = self._is_random(estimator, context, key, stacked)
        size = -(-num_samples // NUM_BLOCKS) if is_random else 1
        chunk = self._chunk(estimator, context, shapes, size, stacked)
        members = _num_members(estimator) if stacked else 1
        return shapes, members, np.uint32(size // chunk), {"chunk": chunk, "stacked": stacked}

    def _shape(self, estimator, context, key, stacked) -> Any:
        """Return the shapes and types of one gradient."""
        return jax.eval_shape(self.gradient, _one_of(estimator, stacked), context, key)

    def _is_random(self, estimator, context, key, stacked) -> bool:
        """Return whether the gradient depends on the key."""
        program = jax.make_jaxpr(self.gradient)(_one_of(estimator, stacked), context, key).jaxpr
        _, is_used = partial_eval.dce_jaxpr(program, [True] * len(program.outvars))
        return is_used[-1]

    def _traced(self, estimator, context, key, stacked) -> Gradient:
        """Return the gradient as it was traced already, which JAX does again within `shard_map`."""
        trace = jax.make_jaxpr(self.gradient, return_shape=True)
        program, shape = trace(_one_of(estimator, stacked), context, key)
        run, structure = jaxpr_as_fun(program), jax.tree.structure(shape)
        return lambda *arguments: jax.tree.unflatten(structure, run(*jax.tree.leaves(arguments)))

    def _chunk(self, estimator, context, shapes, size, stacked) -> int:
        """Gradients per step: a divisor of the block size, limited by a gradient's memory."""
        device = self.mesh.devices.flat[0]
        if device.platform == "cpu":
            room = CACHE_BYTES
            one = num_bytes(shapes) * (_num_members(estimator) if stacked else 1)
        else:
            statistics = device.memory_stats() or {}
            room = _MEMORY_SHARE * statistics.get("bytes_limit", 2**33)
            one = self._memory(estimator, context, shapes, stacked)
        most = int(min(max(room // max(one, 1), 1), _LARGEST_CHUNK, size))
        return max(chunk for chunk in range(1, most + 1) if size % chunk == 0)

    def _memory(self, estimator, context, shapes, stacked) -> int:
        """Bytes needed to compute one gradient, according to the compiler."""
        structure = jax.tree.structure((estimator, context)), stacked
        if structure not in self._chunks:
            members = _num_members(estimator) if stacked else 1
            abouts = [_About.first(None, members, stacked) for _ in shapes]
            operands = _operands(estimator, abouts, context, jax.random.key(0), np.uint32(1))
            numbers = np.arange(self.mesh.size, dtype=np.uint32)
            lowered = self._compiled.lower(operands, numbers, chunk=1, stacked=stacked)
            analysis = lowered.compile().memory_analysis()
            temporary = analysis.temp_size_in_bytes if analysis else 0
            self._chunks[structure] = temporary + num_bytes(shapes)
        return self._chunks[structure]

    def _sharded(self, operands, numbers, *, chunk, stacked):
        estimator, _, context, _, key, _ = operands
        gradient = self._traced(estimator, context, key, stacked)

        def one(operands, numbers):
            return _blocks(gradient, self.views, operands, numbers, chunk)

        per_device = jax.vmap(one, ((0, 0, None, None, None, None), None)) if stacked else one
        out = PartitionSpec(None, _AXIS) if stacked else PartitionSpec(_AXIS)

        sharded = jax.shard_map(
            per_device,
            mesh=self.mesh,
            in_specs=(PartitionSpec(), PartitionSpec(_AXIS)),
            out_specs=out,
            # Otherwise JAX sums gradients of replicated values over devices, and a scan inside a
            # user's f must declare what varies.
            check_vma=False,
        )
        return sharded(operands, numbers)


def _one_of(estimator: Any, stacked: bool) -> Any:
    """Return an estimator, or the first of a stack as shapes."""
    if not stacked:
        return estimator
    return jax.eval_shape(lambda stack: jax.tree.map(lambda leaf: leaf[0], stack), estimator)


@dataclasses.dataclass(frozen=True, eq=False)
class _About:
    """What the sums of a view are about.

    Attributes:
        centre: what is subtracted from every sample, a pytree; None for zero.
        scale: deviations are multiplied by it before they are squared; of a stack, `[members]`.
        truth: the true gradient near one, for cosines; None without one.
    """

    centre: Any
    scale: np.ndarray
    truth: Any

    @classmethod
    def first(cls, truth: Any | None, members: int, stacked: bool) -> "_About":
        scale = np.ones(members if stacked else ())
        if truth is None:
            return cls(None, scale, None)
        centre = jax.tree.map(lambda leaf: jnp.stack([leaf] * members), truth) if stacked else truth
        return cls(centre, scale, _near_one(truth))

    def better(self, probe: "_Gathered", size: int, stacked: bool) -> "_About":
        """Return it with a centre and a scale that suit the first blocks, or itself."""
        offset, scale = probe.off_centre(slice(4), size), probe.scale(slice(4), size)
        scale = scale.reshape(self.scale.shape)
        if offset is None and (scale == self.scale).all():
            return self
        if offset is None:
            return dataclasses.replace(self, scale=scale)
        # With a distant centre, rounding hides a small variance and its tail.
        moved = jax.tree.map(jnp.add, self.centre, _unflat(offset, self.centre, stacked))
        return dataclasses.replace(self, centre=moved, scale=scale)

    def vectors(self, shape: Any, members: int) -> np.ndarray:
        """Return the centre of each member, `[members, P]`."""
        if self.centre is None:
            return np.zeros((members, _num_coordinates(shape)))
        leaves = jax.tree.leaves(self.centre)
        return np.concatenate(
            [np.asarray(leaf, np.float64).reshape(members, -1) for leaf in leaves], -1
        )


def _operands(estimator, abouts: Sequence[_About], context, key, steps) -> tuple:
    """Return the operands of the compiled function: first those with an axis of members."""
    centres = [(about.centre, about.scale) for about in abouts]
    return estimator, centres, context, [about.truth for about in abouts], key, steps


def _blocks(gradient, views, operands, numbers, chunk):
    """Return the sums of the blocks of these numbers, each of several steps of `chunk` samples.

    For each view: sums of deviations from a centre, and their squares and powers, scaled.
    """
    estimator, centres, context, truths, key, steps = operands

    def one(index):
        parts = views(gradient(estimator, context, sample_key(key, index)))
        return [
            _terms(part, centre, truth, scale)
            for part, (centre, scale), truth in zip(parts, centres, truths, strict=True)
        ]

    def several(first):
        if chunk == 1:
            drawn = jax.tree.map(lambda x: x[None], one(first))
        else:
            drawn = jax.vmap(one)(first + jnp.arange(chunk, dtype=first.dtype))
        return [
            (jax.tree.map(lambda x: x.sum(0), terms), _powers(distances))
            for *terms, distances in drawn
        ]

    def zero(centre, truth):
        # Known without tracing the gradient again.
        terms = [centre, centre, _norm(truth)], (_norm(centre),) * 3
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), terms)

    def block(number):
        def step(i, carry):
            found = several((number * steps + i) * chunk)
            return [
                (jax.tree.map(jnp.add, sums, terms), _merged(powers, more))
                for (sums, powers), (terms, more) in zip(carry, found, strict=True)
            ]

        if truths[0] is None:
            shapes = jax.eval_shape(several, number)
            start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        else:
            start = [zero(one, truth) for (one, _), truth in zip(centres, truths, strict=True)]
        return jax.lax.fori_loop(jnp.zeros_like(steps), steps, step, start)

    return jax.lax.map(block, numbers)


def sample_key(key: jax.Array, index: jax.Array) -> jax.Array:
    """Return the key of one sample: a counter added to the hash of the measurement's key.

    Threefry's keys need only differ (Salmon et al. 2011). Hashing per sample would take half the
    time of a toy measurement.
    """
    hashed = jax.random.fold_in(key, 0)
    words = jax.random.key_data(hashed).at[-1].add(index.astype("uint32"))
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))


def _terms(gradient, centre, truth, scale):
    """Return the terms of one gradient: deviation, squares, cosine and squared distance."""
    import optax

    if truth is None:
        return gradient, jax.tree.map(jnp.square, gradient), None, None
    scaled = _times(gradient, scale)
    lengths = _norm(scaled) * _norm(truth)
    cosine = optax.tree.vdot(scaled, truth) / jnp.where(lengths > 0, lengths, 1)
    deviation = jax.tree.map(jnp.subtract, gradient, centre)
    squares = jax.tree.map(jnp.square, _times(deviation, scale))
    return deviation, squares, cosine, optax.tree.sum(squares)


def _powers(distances):
    """Return the largest distance, and sums of squares and cubes of all distances divided by it."""
    if distances is None:
        return None
    largest = distances.max()
    # Divided by the largest, so that no power leaves float32's range.
    shares = distances / jnp.where(largest > 0, largest, 1)
    return largest, jnp.sum(shares**2), jnp.sum(shares**3)


def _merged(first, second):
    """Merge the powers of two groups of samples."""
    if first is None:
        return None
    largest = jnp.maximum(first[0], second[0])
    over = jnp.where(largest > 0, largest, 1)
    shares = first[0] / over, second[0] / over
    return largest, *(
        a * shares[0] ** power + b * shares[1] ** power
        for power, a, b in zip((2, 3), first[1:], second[1:], strict=True)
    )


@dataclasses.dataclass(frozen=True)
class _Gathered:
    """The arrays of `Blocks`, each with a leading axis of the members of a stack."""

    sums: np.ndarray
    squares: np.ndarray
    distances: np.ndarray
    cosines: np.ndarray
    powers: np.ndarray

    @classmethod
    def empty(cls, shape: Any, members: int) -> "_Gathered":
        size = members, NUM_BLOCKS, _num_coordinates(shape)
        # Most of the memory of a measurement: kept in the type used on the devices.
        sums = np.empty(size, np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(shape))))
        rows = size[:2]
        nothing = np.full(rows, np.nan), np.full((*rows, 3), np.nan)
        return cls(sums, np.zeros((members, size[2])), np.zeros(rows), *nothing)

    def place(self, rows: slice, terms, powers, *, scale: Any = 1.0) -> None:
        """Store blocks whose squares are of scaled deviations; one scale, or `[members]`."""
        sums, squares, cosines = terms
        area = np.reshape(scale, (-1, 1)) ** 2.0
        start, part = 0, self.distances[:, rows]
        leaves = jax.tree.leaves(sums), jax.tree.leaves(squares)
        for pair in zip(*leaves, strict=True):
            total, square = (np.asarray(leaf).reshape(*part.shape, -1) for leaf in pair)
            columns = slice(start, start := start + total.shape[-1])
            self.sums[:, rows, columns] = total
            self.squares[:, columns] += square.sum(1, dtype=np.float64) / area
            part += square.sum(2, dtype=np.float64) / area
        if cosines is not None:
            self.cosines[:, rows] = cosines
            self.powers[:, rows] = np.stack(powers, -1)
            self.powers[:, rows, 0] /= area

    def off_centre(self, rows: slice, size: int) -> np.ndarray | None:
        """Return the offsets of these blocks if one is far from its member's centre, else None."""
        count = size * self.sums[:, rows].shape[1]
        offset = self.sums[:, rows].sum(1, dtype=np.float64) / count
        apart = np.sum(offset**2, -1)
        spread = self.distances[:, rows].sum(1) / count - apart
        if not np.isfinite(apart).all() or (apart <= _OFF_CENTRE * spread).all():
            return None
        return offset

    def scale(self, rows: slice, size: int) -> np.ndarray:
        """Return the powers of two, `[members]`, that keep squares within the type's range."""
        means = np.abs(self.sums[:, rows]).max((1, 2)).astype(np.float64) / size
        return _scale(means, self.sums.dtype)

    def blocks(self, centres, size) -> list[Blocks]:
        parts = self.sums, self.squares, self.distances, self.cosines, self.powers
        members = zip(centres, *parts, strict=True)
        return [Blocks(*member, size=size) for member in members]


def flat(tree: Any) -> np.ndarray:
    """Return a pytree of arrays as one float64 vector."""
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def _unflat(vectors: np.ndarray, like: Any, stacked: bool) -> Any:
    """Return vectors `[members, P]` with the structure of a pytree, stacked or single."""
    vector, unravel = ravel_pytree(jax.tree.map(operator.itemgetter(0), like) if stacked else like)
    rows = jnp.asarray(vectors, vector.dtype)
    return jax.vmap(unravel)(rows) if stacked else unravel(rows[0])


def _near_one(tree: Any) -> Any:
    """Return a vector scaled by a power of two if its square could leave the type's range."""
    dtype = jnp.result_type(*jax.tree.leaves(tree))
    return _times(tree, _scale(np.abs(flat(tree)).max(initial=0), dtype))


def _scale(lengths: Any, dtype: Any) -> np.ndarray:
    """Return the powers of two that bring lengths near one; 1 if their squares are safe."""
    _, exponents = np.frexp(np.where(np.isfinite(lengths), lengths, 1.0))
    most = min(96, jnp.finfo(dtype).maxexp * 3 // 4)  # the scale itself must stay in range
    safe = np.abs(exponents) <= _EXPONENT
    return np.exp2(-np.where(safe, 0.0, np.clip(exponents, -most, most)))


def _times(tree: Any, scale: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf * jnp.asarray(scale, leaf.dtype), tree)


def _norm(tree):
    import optax

    return jnp.sqrt(optax.tree.vdot(tree, tree))


def num_bytes(tree: Any) -> int:
    """Return the number of bytes of arrays, given them or their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _num_coordinates(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))  # optax's needs arrays, not shapes


def _num_members(stack) -> int:
    return len(jax.tree.leaves(stack)[0])
