"""Evaluation of a discrete model: its bounds on held-out examples."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from experiments.problems.problem import EvaluatedProblem, Params
from experiments.statistics import Estimate, sample_mean

_AXIS = "examples"
# Samples and examples of one matrix product: enough to use the hardware, few enough to fit a cache.
_SAMPLES, _EXAMPLES = 50, 16


class Evaluator:
    r"""Evaluates the bounds of a problem's discrete model; compiled once.

    With log-weights $w_i$ of K samples, the negative evidence lower bound is $-\frac1K \sum_i w_i$
    and the negative K-sample bound $-\log \frac1K \sum_i e^{w_i}$ (Burda et al. 2016), both in nats
    per example. Samples are drawn in chunks and never stored, examples are sharded over devices, so
    that memory does not grow with either.
    """

    def __init__(self, problem: EvaluatedProblem, num_samples: int, devices: list | None = None):
        """Prepare to evaluate.

        Args:
            problem: the problem.
            num_samples: K.
            devices: devices to spread the examples over; by default, all of this host.
        """
        devices = jax.local_devices() if devices is None else devices
        self.problem = problem
        self.num_samples = num_samples
        self.mesh = jax.make_mesh((len(devices),), (_AXIS,), (AxisType.Auto,), devices=devices)
        self._compiled = jax.jit(self._sharded)

    def __call__(
        self,
        params: Params,
        key: jax.Array,
        examples: Any,
        progress: Callable[[float], None] | None = None,
    ) -> dict[str, Estimate]:
        """Evaluate a model.

        Args:
            params: the problem's parameters.
            key: a typed random key, consumed. The result depends on it, not on the devices.
            examples: what `problem.examples()` returned, or a part of it.
            progress: called with the fraction done.

        Returns:
            `negative_elbo`, `negative_bound` and the problem's own scores, each a mean over the
            examples with a 95% interval from their spread.
        """
        count = len(jax.tree.leaves(examples)[0])
        at_once = _EXAMPLES * self.mesh.size * 8
        found: list[Any] = []
        for first in range(0, count, at_once):
            # The last chunk is padded with copies of the last example, which are dropped below.
            index = np.minimum(np.arange(first, first + at_once), count - 1)
            part = jax.tree.map(lambda leaf, index=index: jnp.asarray(leaf[index]), examples)
            found.append(self._compiled(params, key, part, np.asarray(index, np.uint32)))
            if progress:
                jax.block_until_ready(found[-1])
                progress(min(first + at_once, count) / count)
        values = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *found)
        return {name: sample_mean(value) for name, value in values.items()}

    def _sharded(self, params, key, examples, index):
        own, shared = PartitionSpec(_AXIS), PartitionSpec()
        return jax.shard_map(
            self._examples,
            mesh=self.mesh,
            in_specs=(shared, shared, own, own),
            out_specs=own,
            check_vma=False,
        )(params, key, examples, index)

    def _examples(self, params, key, examples, index):
        one = functools.partial(self._one, params, key)
        return jax.lax.map(lambda pair: one(*pair), (examples, index), batch_size=_EXAMPLES)

    def _one(self, params, key, example, index):
        key = jax.random.fold_in(key, index)
        chunk = max(n for n in range(1, _SAMPLES + 1) if self.num_samples % n == 0)

        def several(number):
            keys = jax.random.split(jax.random.fold_in(key, number), chunk)
            return jax.vmap(lambda key: self.problem.log_weight(params, key, example))(keys)

        def add(sums, number):
            total, log_total = sums
            weights = several(number)
            log_total = jnp.logaddexp(log_total, jax.nn.logsumexp(weights))
            return (total + weights.sum(), log_total), None

        kind = jax.eval_shape(several, 0).dtype
        nothing = jnp.zeros((), kind), jnp.full((), -jnp.inf, kind)
        chunks = jnp.arange(self.num_samples // chunk)
        (total, log_total), _ = jax.lax.scan(add, nothing, chunks)
        bounds = {
            "negative_elbo": -total / self.num_samples,
            "negative_bound": jnp.log(jnp.asarray(self.num_samples, kind)) - log_total,
        }
        return bounds | self.problem.example_scores(params, example)
