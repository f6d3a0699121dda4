"""Rows of a figure's table: errors of gradients at a point, and scores of trained models."""

import math
from collections.abc import Collection, Sequence

import jax

from estimators import Estimator
from experiments.data import Split
from experiments.measurement.point import Point
from experiments.measurement.rows import Row, metric_rows
from experiments.problems import Params, Problem
from experiments.statistics import Estimate

_BUDGET = 100.0  # of the error at equal cost, which no figure shows
_ERRORS = ("squared_bias", "variance", "truth_norm")


def error_rows(
    point: Point,
    estimator: Estimator,
    key: jax.Array,
    num_samples: int,
    metrics: Collection[str] = _ERRORS,
    note: str = "",
) -> list[Row]:
    """Return errors of an estimator's gradients at a point; by default, bias and variance.

    Args:
        point: the point, with its true gradient.
        estimator: the estimator, ready to be measured.
        key: a typed random key, consumed.
        num_samples: the number of gradients.
        metrics: the metrics that are kept.
        note: a caution on all of them.
    """
    (blocks,) = point.draw(estimator, key, num_samples)
    evaluations = point.problem.evaluations(estimator, point.distribution)
    rows = metric_rows(blocks, point.truth, evaluations, _BUDGET, note)
    return [row for row in rows if row["metric"] in metrics]


def value_row(metric: str, value: float) -> Row:
    """Return the row of a number without an interval."""
    return {"metric": metric, **Estimate(float(value), math.nan, math.nan).interval()}


def score_rows(problem: Problem, models: Sequence[Params], split: Split = "test") -> list[Row]:
    """Return the scores of trained models, of seeds from 0, on a split."""
    scores, data = jax.jit(problem.scores), problem.data(split)
    return [
        {"seed": seed, **value_row(metric, float(value))}
        for seed, params in enumerate(models)
        for metric, value in scores(params, jax.random.key(0), data).items()
    ]
