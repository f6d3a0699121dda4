"""A problem at fixed parameters, and three kinds of work on it."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax

from estimators import Estimator
from experiments.measurement.point import Instrument
from experiments.problems import Params, Problem
from experiments.running import limits
from experiments.statistics.blocks import Blocks
from experiments.system.device import PRECISION
from experiments.training.run import Recipe, Run, advance, resume

Figure = dict[str, float]
"""The `value` of one round, and moments of its gradients."""

Round = Callable[[jax.Array], Figure]
"""Runs one round of work with its own key, which is consumed."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """A problem at its initial parameters and one minibatch.

    Attributes:
        problem: the objective.
        params: its parameters.
        data: what `problem.data()` returned.
        batch: the minibatch that gradients are drawn on.
        instrument: measures gradients with respect to all parameters.
    """

    problem: Problem
    params: Params
    data: Any
    batch: Any
    instrument: Instrument

    @property
    def num_parameters(self) -> int:
        """Number of parameters."""
        import optax

        return optax.tree.size(self.params)

    def refusal(self, estimator: Estimator, times: int) -> str | None:
        """Return why `times` gradients of an estimator cannot be drawn, or None if they can."""
        context = self.params, self.batch
        distribution = self.problem.distribution(*context)
        return limits.refusal(self.problem, estimator, context, distribution, times)

    def ready(self, estimator: Estimator) -> Estimator:
        """Return the estimator with its networks initialised."""
        distribution = self.problem.distribution(self.params, self.batch)
        return estimator.initialise(jax.random.key(0), distribution)

    def draw(self, estimator: Estimator, key: jax.Array, num_samples: int) -> Blocks:
        """Draw gradient samples; `key` is consumed."""
        context = self.params, self.batch
        with jax.default_matmul_precision(PRECISION):
            return self.instrument.sampler.draw(estimator, context, key, num_samples)[0]


def prepare(problem: Problem) -> Workload:
    """Return a problem at its initial parameters and one minibatch."""
    initial, batch = jax.random.split(jax.random.key(0))
    data = problem.data()
    params, minibatch = problem.initial(initial), problem.batch(batch, data)
    return Workload(problem, params, data, minibatch, Instrument(problem, "all"))


def gradients(work: Workload, estimator: Estimator, num_samples: int) -> Round:
    """Return rounds of seconds per 1,000 gradients, with their per-parameter mean and variance.

    The result's `variance` is the total over parameters.
    """
    estimator = work.ready(estimator)

    def one_round(key: jax.Array) -> Figure:
        start = time.perf_counter()
        blocks = work.draw(estimator, key, num_samples)
        mean, variance = blocks.mean, blocks.variance
        seconds = time.perf_counter() - start
        del mean  # timed, not shown
        return {"value": seconds * 1000 / blocks.count, "variance": float(variance.sum())}

    return one_round


def throughput(work: Workload, estimator: Estimator, num_samples: int) -> Round:
    """Return rounds of gradients per second, for a problem of one parameter.

    The result's `mean` and `variance` are those of its gradient.
    """
    estimator = work.ready(estimator)

    def one_round(key: jax.Array) -> Figure:
        start = time.perf_counter()
        blocks = work.draw(estimator, key, num_samples)
        (mean,), (variance,) = blocks.mean, blocks.variance
        seconds = time.perf_counter() - start
        return {"value": blocks.count / seconds, "mean": float(mean), "variance": float(variance)}

    return one_round


def steps(work: Workload, estimator: Estimator, num_steps: int) -> Round:
    """Return rounds of training steps per second, with the estimator's own leaves fixed."""
    estimator, recipe = work.ready(estimator), Recipe(work.problem, tuned=False)

    @jax.jit
    def train(key, params, estimator, data):
        run = Run(jax.random.bits(key, dtype="uint32"), 1e-3)  # as in PyTorch
        state = resume(recipe, run, params, estimator)
        return advance(recipe, run, state, data, num_steps)

    def one_round(key: jax.Array) -> Figure:
        start = time.perf_counter()
        with jax.default_matmul_precision(PRECISION):
            jax.block_until_ready(train(key, work.params, estimator, work.data))
        return {"value": num_steps / (time.perf_counter() - start)}

    return one_round
