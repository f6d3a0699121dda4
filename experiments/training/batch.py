"""A batch of runs in one program, vmapped and sharded over the devices of all hosts."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from estimators import Estimator, stack
from experiments.training import run as one_run
from experiments.training.run import LONGEST, Recipe, Run, State

_AXIS = "runs"


class Batch:
    """Runs that share a recipe and differ in seed, learning rate and estimator leaves.

    Each device trains some of the runs under `jax.vmap`, without communication. All advance
    together, so a batch is resumed as a whole.
    """

    def __init__(
        self,
        recipe: Recipe,
        runs: Sequence[Run],
        estimators: Sequence[Estimator],
        data: Any,
        devices: list | None = None,
    ):
        """Place the runs on devices; nothing is computed yet.

        Args:
            recipe: how to train.
            runs: the runs, each with a seed and a rate.
            estimators: the estimator of each run; all have the same structure.
            data: the result of `problem.data()`; replicated on every device.
            devices: the devices; by default those of all hosts.
        """
        devices = jax.devices() if devices is None else devices
        # Every host must take part, even if only with copies.
        count = len(devices) if jax.process_count() > 1 else min(len(devices), len(runs))
        self.num_runs = len(runs)
        self.recipe = recipe
        self.mesh = jax.make_mesh((count,), (_AXIS,), (AxisType.Auto,), devices=devices[:count])
        # Padded with copies of the last run, which are dropped.
        padded = list(range(len(runs))) + [-1] * (-len(runs) % count)
        chosen = Run(
            np.array([runs[i].seed for i in padded], np.uint32),
            np.array([runs[i].rate for i in padded], np.float32),
        )
        self._runs = self.place(chosen, PartitionSpec(_AXIS))
        stacked = jax.tree.map(np.asarray, stack([estimators[i] for i in padded]))
        self._estimators = self.place(stacked, PartitionSpec(_AXIS))
        self._data = self.place(data, PartitionSpec())
        self._advance = jax.jit(self._sharded_advance, static_argnums=4, donate_argnums=1)

    def place(self, tree: Any, spec: PartitionSpec) -> Any:
        """Return host arrays, the same on every host, as arrays on the mesh."""
        sharding = NamedSharding(self.mesh, spec)

        def put(leaf):
            leaf = np.asarray(leaf)
            return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])

        return jax.tree.map(put, tree)

    def start(self) -> State:
        """Return the initial state of all runs."""
        return jax.jit(self._sharded_start)(self._runs, self._estimators, self._data)

    def shape(self) -> State:
        """Return the shapes, types and shardings of the state, to restore a checkpoint."""
        shapes = jax.eval_shape(self._sharded_start, self._runs, self._estimators, self._data)
        sharding = NamedSharding(self.mesh, PartitionSpec(_AXIS))
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes
        )

    def compile(self, num_steps: int) -> None:
        """Compile the program for a number of steps without running it."""
        steps = self.place(np.int32(num_steps), PartitionSpec())
        most = _room(num_steps)
        self._advance.lower(self._runs, self.shape(), self._data, steps, most).compile()

    def advance(self, state: State, num_steps: int) -> tuple[State, np.ndarray]:
        """Train every run for some steps; `state` is consumed.

        One program serves all numbers of steps up to `LONGEST`, so that results do not depend on
        how the steps are divided.

        Returns:
            The new state of the runs, and their losses `[runs, num_steps]`.
        """
        steps = self.place(np.int32(num_steps), PartitionSpec())
        state, losses = self._advance(self._runs, state, self._data, steps, _room(num_steps))
        return state, self.gather(losses)[:, :num_steps]

    def gather(self, tree: Any) -> Any:
        """Return arrays with one row per run on this host, the padding dropped."""
        if jax.process_count() > 1:
            tree = multihost_utils.process_allgather(tree, tiled=True)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: self.num_runs], tree)

    def _sharded_start(self, runs, estimators, data):
        one = functools.partial(one_run.start, self.recipe)
        return self._sharded(lambda runs, estimators, data: _map(one, (runs, estimators), data))(
            runs, estimators, data
        )

    def _sharded_advance(self, runs, state, data, num_steps, most):
        def one(run, state, shared):
            data, num_steps = shared
            return one_run.advance(self.recipe, run, state, data, num_steps, most)

        return self._sharded(lambda runs, state, shared: _map(one, (runs, state), shared))(
            runs, state, (data, num_steps)
        )

    def _sharded(self, function):
        own = PartitionSpec(_AXIS)
        return jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=(own, own, PartitionSpec()),
            out_specs=own,
            # There is no communication, and a user's scan need not declare what varies.
            check_vma=False,
        )


def _room(num_steps: int) -> int:
    """Return the number of losses that a program allocates; few values, hence few programs."""
    return max(LONGEST, 1 << (num_steps - 1).bit_length())


def _map(function, batched, data):
    """Return `function(*batched, data)`, vmapped over the runs of one device."""
    if len(jax.tree.leaves(batched)[0]) > 1:
        return jax.vmap(function, (0, 0, None))(*batched, data)
    # XLA would transpose matrices around an axis of size one.
    alone = function(*jax.tree.map(lambda leaf: leaf[0], batched), data)
    return jax.tree.map(lambda leaf: leaf[None], alone)
