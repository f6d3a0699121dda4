"""The time that training takes."""

import time
from collections.abc import Callable

import jax

from estimators import Estimator
from experiments.problems.problem import Problem
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run


def rounds(
    problem: Problem, estimator: Estimator, seed: int, num_steps: int
) -> Callable[[], float]:
    """Return what trains on for some steps, on one device, and returns the seconds they took."""
    batch = Batch(
        Recipe(problem), [Run(seed, 1e-3)], [estimator], problem.data(), jax.devices()[:1]
    )
    state, _ = batch.advance(batch.start(), num_steps)

    def one_round() -> float:
        nonlocal state
        start = time.perf_counter()
        state, _ = batch.advance(state, num_steps)
        return time.perf_counter() - start

    return one_round
