"""What one gradient of each estimator costs, beside its evaluations of f."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from estimators import Estimator, StraightThrough
from experiments.benchmark.summary import summarise
from experiments.benchmark.workload import Workload

UNIT = StraightThrough("identity")
"""One evaluation of f, forward and backward, at one sample: what straight-through is, no more."""


def measure(
    work: Workload,
    estimators: Sequence[Estimator],
    num_samples: int,
    num_rounds: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Time one gradient of each estimator that fits the problem.

    Args:
        work: the problem; every parameter is differentiated.
        estimators: the estimators.
        num_samples: gradients of one round.
        num_rounds: rounds, over all estimators in turn.
        report: is told what is going on.

    Returns:
        Plain values: the `problem`; `unit`, the summary of one evaluation of f in seconds; and
        `rows` by estimator: `seconds` per gradient, `evaluations`, and the `ratio` of the first
        to that many evaluations.
    """
    fitting = [one for one in estimators if work.refusal(one) is None]
    timed = {"": UNIT} | {str(one): one for one in fitting}
    ready = {name: work.ready(one) for name, one in timed.items()}
    for name, estimator in ready.items():
        report(f"compiling {name or UNIT} on {work.problem}")
        work.draw(estimator, jax.random.key(0), num_samples)
    seconds: dict[str, list[float]] = {name: [] for name in ready}
    for number in range(num_rounds):
        report(f"timing one gradient of every estimator, round {number + 1} of {num_rounds}")
        for name, estimator in ready.items():
            start = time.perf_counter()
            blocks = work.draw(estimator, jax.random.key(number), num_samples)
            seconds[name].append((time.perf_counter() - start) / blocks.count)
    unit = seconds.pop("")
    distribution = work.problem.distribution(work.params, work.batch)
    rows = {}
    for name, own in seconds.items():
        evaluations = timed[name].evaluations(distribution)
        shares = [one / (evaluations * other) for one, other in zip(own, unit, strict=True)]
        rows[name] = {
            "seconds": summarise(own),
            "evaluations": evaluations,
            "ratio": statistics.median(shares),
        }
    return {"problem": str(work.problem), "unit": summarise(unit), "rows": rows}
