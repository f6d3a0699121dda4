"""The time that training takes."""

import time
from collections.abc import Callable, Sequence

from estimators import Estimator
from experiments.problems.problem import Problem
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run


def rounds(
    problem: Problem, estimator: Estimator, seeds: Sequence[int], num_steps: int
) -> Callable[[], float]:
    """Return a function that continues training runs for some steps and returns the seconds.

    Runs are spread over the devices; a single run uses one device.
    """
    runs = [Run(seed, 1e-3) for seed in seeds]
    batch = Batch(Recipe(problem), runs, [estimator] * len(runs), problem.data())
    state, _ = batch.advance(batch.start(), num_steps)

    def one_round() -> float:
        nonlocal state
        start = time.perf_counter()
        state, _ = batch.advance(state, num_steps)
        return time.perf_counter() - start

    return one_round
