"""Variance against the number of evaluations, on three bits of one logit (Kool et al. 2020)."""

import functools

import jax

from estimators import (
    Average,
    Estimator,
    LeaveOneOut,
    ScoreFunction,
    SumAndSample,
    UnorderedSet,
)
from experiments.measurement.point import Instrument
from experiments.measurement.rows import Row, estimator_columns, metric_rows
from experiments.problems.toy import SharedLogit
from experiments.studies.figures.study import Figure, figure_study

_LOGITS = (0.0, -4.0)


def study(scale: str) -> Figure:
    """Return the study of 1 to 8 evaluations at high and low entropy."""
    num_samples = 1024 if scale == "smoke" else 1 << 16
    most = 3 if scale == "smoke" else 8
    tasks = {
        f"logit {logit:g}, {count} evaluations": functools.partial(_rows, logit, count, num_samples)
        for logit in _LOGITS
        for count in range(1, most + 1)
    }
    return figure_study(
        "variance-by-evaluations",
        "Variance by evaluations of f, three bits of one logit (Kool et al. 2020)",
        "evaluations",
        {"draws": num_samples, "most": most},
        tasks,
    )


def _estimators(count: int) -> dict[str, Estimator]:
    """Return the estimators of `count` evaluations, by their names in the figure."""
    found: dict[str, Estimator] = {
        "with replacement": Average(ScoreFunction(), count) if count > 1 else ScoreFunction(),
        "without replacement: unordered set": UnorderedSet(count),
        "without replacement: sum and sample": SumAndSample(count),
    }
    if count > 1:
        found["with replacement: leave one out"] = ScoreFunction(LeaveOneOut(count))
    return found


def _rows(logit: float, count: int, num_samples: int, advance) -> list[Row]:
    problem = SharedLogit(logit)
    instrument = Instrument(problem, "logits")
    params = problem.initial(jax.random.key(0))
    point = instrument.point(params, None, jax.random.key(1))
    rows: list[Row] = []
    found = _estimators(count)
    for number, (name, estimator) in enumerate(found.items()):
        (blocks,) = point.draw(estimator, jax.random.key(2), num_samples)
        shared = {"problem": str(problem), "logit": logit, "name": name, "evaluations": count}
        shared |= estimator_columns(estimator)
        rows += [
            shared | row | {"evaluations": count}
            for row in metric_rows(blocks, point.truth, count, 100.0)
            if row["metric"] in ("variance", "squared_bias")
        ]
        advance((number + 1) / len(found))
    return rows
