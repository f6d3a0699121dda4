"""The speed of batches of runs compared with one run, and the time to compile a study."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from estimators import Estimator
from experiments.benchmark.rounds import in_turn, ratios, summarise
from experiments.benchmark.workload import Workload
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run
from experiments.training.timing import rounds

SEEDS = 8
"""Runs of a batch."""

STUDY = [Run(seed, rate) for rate in (1e-4, 3e-4, 1e-3) for seed in range(5)]
"""Five seeds and three learning rates, which compile in one program."""


def measure(
    work: Workload,
    estimators: Sequence[Estimator],
    num_steps: int,
    num_rounds: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Time training of a vmapped batch and of a single run, on all devices.

    Args:
        work: the problem.
        estimators: the estimators.
        num_steps: steps of every run in a round.
        num_rounds: rounds; each runs all estimators in turn.
        report: called with progress messages.

    Returns:
        Plain values: `problem`, `seeds`, `runs` of a study, and `rows` by estimator: the summaries
        of `alone` and of `together`, in steps of all runs per second; of the `ratio` of the second
        to the first; and `compile_seconds`, the time to compile a study.
    """
    tasks, compiled = {}, {}
    for estimator in estimators:
        name = str(estimator)
        report(f"compiling batches of {name}")
        for count in (1, SEEDS):
            tasks[name, count] = _speed(work, estimator, count, num_steps)
        compiled[name] = _compile_seconds(work, estimator, num_steps)
    speeds = in_turn(tasks, num_rounds, "batches of runs", report)
    rows = {}
    for name in compiled:
        alone, together = speeds[name, 1], speeds[name, SEEDS]
        rows[name] = {
            "alone": summarise(alone),
            "together": summarise(together),
            "ratio": summarise(ratios(together, alone, more_is_better=True)),
            "compile_seconds": compiled[name],
        }
    return {"problem": str(work.problem), "seeds": SEEDS, "runs": len(STUDY), "rows": rows}


def _speed(
    work: Workload, estimator: Estimator, count: int, num_steps: int
) -> Callable[[jax.Array], float]:
    """Return a function that continues training and returns the total steps per second."""
    one_round = rounds(work.problem, estimator, range(count), num_steps)
    return lambda _: count * num_steps / one_round()


def _compile_seconds(work: Workload, estimator: Estimator, num_steps: int) -> float:
    """Return the seconds that a study takes to compile without the cache."""
    with _without_cache():
        batch = Batch(Recipe(work.problem), STUDY, [estimator] * len(STUDY), work.data)
        start = time.perf_counter()
        batch.compile(num_steps)
        return time.perf_counter() - start


@contextlib.contextmanager
def _without_cache():
    enabled = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)
