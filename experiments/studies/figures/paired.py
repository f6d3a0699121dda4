"""Quantities of predictions: values of trained models by seed, and measurements at one point."""

import math
from collections.abc import Mapping, Sequence

from experiments.measurement.rows import Row
from experiments.statistics import Estimate, sample_mean

UNKNOWN = Estimate.refused(math.nan, "not part of this run")


def select(rows: Sequence[Row], **columns: object) -> list[Row]:
    """Return the rows with these values."""
    return [row for row in rows if all(row.get(name) == one for name, one in columns.items())]


def difference(
    rows: Sequence[Row], first: Mapping[str, object], second: Mapping[str, object]
) -> Estimate:
    """Return the mean of first less second over the seeds that both have, with its interval.

    Args:
        rows: those of a study.
        first: the columns that select one row for each seed.
        second: those of the others.
    """
    found, others = (
        {row["seed"]: float(row["value"]) for row in select(rows, **columns)}
        for columns in (first, second)
    )
    shared = found.keys() & others.keys()
    return sample_mean([found[seed] - others[seed] for seed in shared]) if shared else UNKNOWN


def relative(rows: Sequence[Row], metric: str, **columns: object) -> Estimate:
    """Return a squared metric over the squared norm of the true gradient, with its interval."""
    values = select(rows, metric=metric, **columns)
    norms = select(rows, metric="truth_norm", **columns)
    if len(values) != 1 or len(norms) != 1:
        return UNKNOWN
    (value,), (norm,) = values, norms
    found = Estimate(float(value["value"]), float(value["low"]), float(value["high"]))
    return found / float(norm["value"]) ** 2


def log_ratio(first: Estimate, second: Estimate) -> Estimate:
    """Return the natural logarithm of a ratio of positive numbers; its interval joins the ends.

    NaN if one of the numbers, or of the ends, is not positive; one that is unknown is returned.
    """
    for one in (first, second):
        if math.isnan(one.value):
            return one
    ends = (first.value, first.low, first.high), (second.value, second.high, second.low)
    if not all(one > 0 for pair in ends for one in pair):
        return Estimate.refused(math.nan, "not distinguishable from zero")
    value, low, high = (math.log(one / other) for one, other in zip(*ends, strict=True))
    return Estimate(value, low, high)
