"""The speed of batches of runs beside that of one run, and the time to compile a study."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from estimators import Estimator
from experiments.benchmark.summary import ratios, summarise
from experiments.benchmark.workload import Workload
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run

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
    """Time training, mapped over seeds and alone, on all devices.

    Args:
        work: the problem.
        estimators: the estimators.
        num_steps: steps of every run in a round.
        num_rounds: rounds, over all estimators in turn.
        report: called with progress messages.

    Returns:
        Plain values: `problem`, `seeds`, `runs` of a study, and `rows` by estimator: the summaries
        of `alone` and of `together`, in steps of all runs per second; of the `ratio` of the second
        to the first; and `compile_seconds`, the time to compile a study.
    """
    pairs, compiled = {}, {}
    for estimator in estimators:
        name = str(estimator)
        report(f"compiling batches of {name}")
        pairs[name] = [_rounds(work, estimator, count, num_steps) for count in (1, SEEDS)]
        compiled[name] = _compile_seconds(work, estimator, num_steps)
    speeds: dict[str, list[list[float]]] = {name: [[], []] for name in pairs}
    for number in range(num_rounds):
        report(f"timing batches of runs, round {number + 1} of {num_rounds}")
        for name, pair in pairs.items():
            for one_round, found in zip(pair, speeds[name], strict=True):
                found.append(one_round())
    rows = {
        name: {
            "alone": summarise(alone),
            "together": summarise(together),
            "ratio": summarise(ratios(together, alone, more_is_better=True)),
            "compile_seconds": compiled[name],
        }
        for name, (alone, together) in speeds.items()
    }
    return {"problem": str(work.problem), "seeds": SEEDS, "runs": len(STUDY), "rows": rows}


def _batch(work: Workload, estimator: Estimator, runs: Sequence[Run]) -> Batch:
    return Batch(Recipe(work.problem), runs, [estimator] * len(runs), work.data)


def _rounds(
    work: Workload, estimator: Estimator, count: int, num_steps: int
) -> Callable[[], float]:
    """Return a function that trains on and returns the steps of all runs per second."""
    batch = _batch(work, estimator, [Run(seed, 1e-3) for seed in range(count)])
    state = batch.start()
    state, _ = batch.advance(state, num_steps)

    def one_round() -> float:
        nonlocal state
        start = time.perf_counter()
        state, _ = batch.advance(state, num_steps)
        return count * num_steps / (time.perf_counter() - start)

    return one_round


def _compile_seconds(work: Workload, estimator: Estimator, num_steps: int) -> float:
    """Return the seconds that a study takes to compile without the cache."""
    with _without_cache():
        batch = _batch(work, estimator, STUDY)
        start = time.perf_counter()
        batch.compile(num_steps)
        return time.perf_counter() - start


@contextlib.contextmanager
def _without_cache():
    enabled = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)
