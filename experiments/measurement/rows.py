"""Rows of the table of results: the columns of an estimator, and its metrics."""

import math
from typing import Any

import jax
import numpy as np

from estimators import BIBLIOGRAPHY, FAMILIES, Estimator
from estimators.naming import describe
from experiments import statistics as intervals
from experiments.statistics import Estimate, Truth, jackknife
from experiments.statistics.blocks import Blocks
from experiments.statistics.distance import distance

_OPTIONAL = frozenset({"signal_to_noise", "unbiased_p_value"})
_OF_GRADIENTS = frozenset({"variance", "signal_to_noise"})
"""Metrics that need no true gradient."""

Row = dict[str, Any]
"""A row of a table of results, by column."""


def estimator_columns(estimator: Estimator) -> Row:
    """Return the columns that identify the estimator of a row, as the user wrote it."""
    parameters = {}
    for name, value in estimator.hyperparameters().items():
        # As in the identity: the shortest decimal of the number's own type.
        number = isinstance(value, jax.Array)
        parameters[f"p_{name}"] = float(str(np.asarray(value)[()])) if number else value
    return {
        "estimator": str(estimator),
        "short_name": describe(estimator, positional=True),
        "method": type(estimator).__name__,
        "method_family": family(estimator),
        "relaxes": estimator.relaxes,
        "unbiased": estimator.unbiased,
        "paper_link": paper.link if (paper := BIBLIOGRAPHY.get(estimator.paper)) else "",
        **parameters,
    }


def family(estimator: Estimator) -> str:
    """Return the name of the family of an estimator; "" for a class of the user's own."""
    return next((name for name, classes in FAMILIES.items() if type(estimator) in classes), "")


def metric_rows(
    blocks: Blocks, truth: Truth, evaluations: int, budget: float, note: str = ""
) -> list[Row]:
    """Return one row for each metric, with its 95% interval; `note` is added to all of them.

    Gradients without variance have no row of a signal-to-noise ratio, and those whose squared bias
    has no interval none of a p-value. The rows of squared bias and variance have `replicates`, by
    which they are compared with those of other estimators under the same keys. Where there is no
    true gradient, what is measured against it is NaN, and its note says why.
    """
    found = distance(blocks, truth)
    bias, spread = intervals.squared_bias(blocks, truth, found), intervals.variance(blocks, truth)
    estimates = {
        "squared_bias": bias,
        "variance": spread,
        "mse": intervals.mean_squared_error(blocks, truth, bias, spread),
        "cosine_mean": intervals.cosine_of_mean(blocks, truth),
        "cosine_sample": intervals.cosine_per_sample(blocks, truth),
        "equal_cost_error": intervals.equal_cost_error(bias, spread, evaluations, budget),
        "signal_to_noise": intervals.signal_to_noise(blocks, truth, found, spread),
        "unbiased_p_value": intervals.unbiased_p_value(blocks, truth, found),
        "truth_norm": Estimate.student(float(np.linalg.norm(truth.mean))),
    }
    replicates = {
        "squared_bias": jackknife.squared_biases(blocks, truth),
        "variance": jackknife.traces(blocks),
    }
    if truth.lacking:
        nothing = Estimate.refused(math.nan, truth.lacking)
        estimates = {
            metric: estimate if metric in _OF_GRADIENTS else nothing
            for metric, estimate in estimates.items()
        }
        del replicates["squared_bias"]
    shared = {"evaluations": evaluations, "samples": blocks.count}
    return [
        {"metric": metric, **estimate.interval(), **shared}
        | {"note": "; ".join(filter(None, (note, estimate.note)))}
        | {"replicates": _listed(replicates.get(metric))}
        for metric, estimate in estimates.items()
        if metric not in _OPTIONAL or not math.isnan(estimate.value)
    ]


def coordinates_row(blocks: Blocks, truth: Truth, leaves: Any, row: Row) -> Row:
    """Return the row of the moments of each coordinate of a gradient; its value is their number.

    Args:
        blocks: the samples.
        truth: the true gradient.
        leaves: a pytree like the gradient, whose arrays the coordinates are in.
        row: a row of the same estimator.
    """
    each = jax.tree_util.tree_leaves_with_path(leaves)
    shapes = [",".join(map(str, leaf.shape)) for _, leaf in each]
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in each]
    size = float(len(blocks.mean))
    return row | {
        "metric": "coordinates",
        **dict.fromkeys(("value", "low", "high"), size),
        "note": "",
        "replicates": "",
        "coordinate_leaves": "; ".join(
            f"{path}[{shape}]" for path, shape in zip(paths, shapes, strict=True)
        ),
        "coordinate_mean": blocks.mean.tolist(),
        "coordinate_variance": blocks.variance.tolist(),
        "coordinate_truth": np.asarray(truth.mean, float).tolist(),
    }


def _listed(statistic: np.ndarray | None) -> str:
    """Return the pseudo-values of a statistic `[1 + R]`, separated by spaces; "" if not finite."""
    if statistic is None or not np.isfinite(statistic).all():
        return ""
    return " ".join(f"{value:.9g}" for value in jackknife.pseudo_values(statistic))


def seconds_row(times: np.ndarray, row: Row) -> Row:
    """Return the row of the median time of a gradient.

    Args:
        times: `[rounds]`, seconds per gradient in each of several rounds.
        row: a row of the same estimator, whose note is kept.
    """
    found = intervals.median(times).interval()
    return row | {"metric": "seconds", **found, "note": row["note"], "replicates": ""}
