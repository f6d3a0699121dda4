"""Streaming moments of gradient samples: the measurement engine.

Gradients are drawn one chunk per scan step and never stored. Only sums over blocks of samples are
kept (`Blocks`): first and second moments, cosines, and powers that describe the tail. Blocks are
sharded over the devices. Bias, variance and their intervals are computed from these sums on the
host, in float64.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.interpreters import partial_eval
from jax.sharding import AxisType, PartitionSpec

from experiments.measurement.cost import cost
from experiments.measurement.sums import About, Gathered, block_sums
from experiments.measurement.sums import flat as flat
from experiments.measurement.sums import sample_key as sample_key
from experiments.statistics.blocks import NUM_BLOCKS, Blocks
from experiments.system.device import quick_compilation

_AXIS = "samples"
CACHE_BYTES = 2**18
"""Maximum bytes of a chunk of gradients on a CPU."""

_WORK_BYTES = 2**20
"""Maximum bytes, for a chunk on a CPU, of the largest array from which gradients are computed."""

_PAIR_BYTES = 2**28
"""The same for a chunk of two, which is much faster than one: products of a single row are slow."""

# The same as a fraction of an accelerator's memory.
_MEMORY_SHARE = 0.25
_LARGEST_CHUNK = 2**14
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
        gathered = [Gathered.empty(shape, members) for shape in shapes]
        truths = [None for _ in shapes] if truth is None else shapes
        abouts = [About.first(one, members, stacked) for one in truths]

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
                    probe = Gathered.empty(shape, members)
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
        abouts = [About.first(one, members, stacked) for one in truths]
        operands = _operands(estimator, abouts, context, key, steps)
        numbers = np.arange(self._at_once, dtype=np.uint32)
        self._compiled.lower(operands, numbers, **static).compile()

    @property
    def _at_once(self) -> int:
        """The number of blocks per call."""
        return max(self.mesh.size, 8)

    def _plan(self, estimator, context, key, num_samples, truth, stacked):
        """Return the shape of each view, the members, the steps of a block and static arguments.

        The number of steps is an operand, so that one program serves all numbers of samples.
        """
        whole = self._shape(estimator, context, key, stacked) if truth is None else truth
        shapes = self.views(whole)
        program = jax.make_jaxpr(self.gradient)(_one_of(estimator, stacked), context, key).jaxpr
        _, is_used = partial_eval.dce_jaxpr(program, [True] * len(program.outvars))
        is_random = is_used[-1]  # whether the gradient depends on the key
        size = -(-num_samples // NUM_BLOCKS) if is_random else 1
        largest = cost(program, [True] * len(program.invars)).largest
        chunk = self._chunk(estimator, context, shapes, largest, size, stacked)
        members = _num_members(estimator) if stacked else 1
        return shapes, members, np.uint32(size // chunk), {"chunk": chunk, "stacked": stacked}

    def _shape(self, estimator, context, key, stacked) -> Any:
        """Return the shapes and types of one gradient."""
        return jax.eval_shape(self.gradient, _one_of(estimator, stacked), context, key)

    def _traced(self, estimator, context, key, stacked) -> Gradient:
        """Return the gradient as it was traced already, which JAX does again within `shard_map`."""
        trace = jax.make_jaxpr(self.gradient, return_shape=True)
        program, shape = trace(_one_of(estimator, stacked), context, key)
        run, structure = jaxpr_as_fun(program), jax.tree.structure(shape)
        return lambda *arguments: jax.tree.unflatten(structure, run(*jax.tree.leaves(arguments)))

    def _chunk(self, estimator, context, shapes, largest, size, stacked) -> int:
        """Gradients per step: a divisor of the block size, limited by a gradient's memory."""
        device = self.mesh.devices.flat[0]
        if device.platform == "cpu":
            members = _num_members(estimator) if stacked else 1
            work = max(largest * members, 1)
            room = min(CACHE_BYTES / max(num_bytes(shapes) * members, 1), _WORK_BYTES / work)
            room = max(room, min(_PAIR_BYTES / work, 2))
        else:
            statistics = device.memory_stats() or {}
            room = _MEMORY_SHARE * statistics.get("bytes_limit", 2**33)
            room /= max(self._memory(estimator, context, shapes, stacked), 1)
        most = int(min(max(room, 1), _LARGEST_CHUNK, size))
        return max(chunk for chunk in range(1, most + 1) if size % chunk == 0)

    def _memory(self, estimator, context, shapes, stacked) -> int:
        """Bytes needed to compute one gradient, according to the compiler."""
        structure = jax.tree.structure((estimator, context)), stacked
        if structure not in self._chunks:
            members = _num_members(estimator) if stacked else 1
            abouts = [About.first(None, members, stacked) for _ in shapes]
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
            return block_sums(gradient, self.views, operands, numbers, chunk)

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


def _operands(estimator, abouts: Sequence[About], context, key, steps) -> tuple:
    """Return the operands of the compiled function: first those with an axis of members."""
    centres = [(about.centre, about.scale) for about in abouts]
    return estimator, centres, context, [about.truth for about in abouts], key, steps


def num_bytes(tree: Any) -> int:
    """Return the number of bytes of arrays, given them or their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _num_members(stack) -> int:
    return len(jax.tree.leaves(stack)[0])
