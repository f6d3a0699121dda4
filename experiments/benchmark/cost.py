"""The cost of one gradient of each estimator, compared with its evaluations of f."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import jax

from estimators import Estimator, StraightThrough
from experiments.benchmark.rounds import in_turn, summarise
from experiments.benchmark.workload import Workload

UNIT = StraightThrough("identity")
"""Straight-through costs one evaluation of f, forward and backward, at one sample."""


def measure(
    work: Workload,
    estimators: Sequence[Estimator],
    num_samples: int,
    num_rounds: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Time one gradient of each estimator that fits the problem, on one device.

    Gradients are drawn sequentially and share no computation, not even terms that do not depend on
    the noise (in `Exact`, all terms).

    Args:
        work: the problem; every parameter is differentiated.
        estimators: the estimators.
        num_samples: gradients of one round.
        num_rounds: rounds; each runs all estimators in turn.
        report: called with progress messages.

    Returns:
        Plain values: the `problem`; `unit`, the summary of one evaluation of f in seconds; and
        `rows` by estimator: `seconds` per gradient, `evaluations`, and the `ratio` of the first
        to that many evaluations.
    """
    fitting = [one for one in estimators if work.refusal(one, num_samples) is None]
    timed = {"": UNIT} | {str(one): one for one in fitting}
    rounds = {name: _rounds(work, one, num_samples) for name, one in timed.items()}
    for name, one_round in rounds.items():
        report(f"compiling {name or UNIT} on {work.problem}")
        one_round(jax.random.key(0))
    seconds = in_turn(rounds, num_rounds, "one gradient of every estimator", report)
    unit = seconds.pop("")
    distribution = work.problem.distribution(work.params, work.batch)
    rows = {}
    for name, own in seconds.items():
        evaluations = work.problem.evaluations(timed[name], distribution)
        shares = [one / (evaluations * other) for one, other in zip(own, unit, strict=True)]
        rows[name] = {
            "seconds": summarise(own),
            "evaluations": evaluations,
            "ratio": statistics.median(shares),
        }
    return {"problem": str(work.problem), "unit": summarise(unit), "rows": rows}


def _rounds(work: Workload, estimator: Estimator, num_samples: int) -> Callable[[jax.Array], float]:
    """Return a function of a key that returns the seconds of one gradient."""
    estimator, timer = work.ready(estimator), work.instrument.timer
    return lambda key: timer(estimator, (work.params, work.batch), work.params, key, num_samples)
