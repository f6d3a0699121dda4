"""Variance, mean squared error and error at equal cost, with their intervals."""

import math

import numpy as np

from experiments.intervals import jackknife
from experiments.intervals.bias import squared_bias
from experiments.intervals.distance import ROUNDING, rounding
from experiments.intervals.estimate import Estimate, Truth, quantile
from experiments.moments import Blocks


def variance(blocks: Blocks) -> Estimate:
    """Return the trace of the covariance of one gradient, tr S.

    The interval is the jackknife's over blocks, of its logarithm: a variance is skewed.
    """
    traces = jackknife.traces(blocks)
    value = float(traces[0])
    # Squares about the centre were summed in float32: what is left below this is rounding.
    if value <= ROUNDING * float(
        blocks.offset @ blocks.offset + ROUNDING * blocks.mean @ blocks.mean
    ):
        return Estimate(0.0, 0.0, 0.0)
    return _about(value, _spread(np.log(np.maximum(traces, np.finfo(float).tiny))))


def mean_squared_error(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the mean squared distance of one gradient to the truth, squared bias + variance.

    The interval is the jackknife's over blocks, those of the truth as well, of its logarithm.
    """
    errors = jackknife.squared_errors(blocks, truth)
    value = float(errors[0])
    if rounding(blocks, truth) >= value >= 0:
        return Estimate(0.0, 0.0, 0.0)
    runs = [errors]
    if truth.blocks is not None:
        # The estimate is |m - t|^2 plus what does not depend on t.
        distances = np.sum((blocks.mean - jackknife.means(truth.blocks)) ** 2, -1)
        runs.append(value + distances - distances[0])
    if any(np.any(run <= 0) for run in runs):
        return Estimate(value, math.nan, math.nan)
    return _about(value, math.hypot(*(_spread(np.log(run)) for run in runs)))


def equal_cost_error(blocks: Blocks, truth: Truth, evaluations: int, budget: float) -> Estimate:
    """Return the error at a budget of evaluations of f.

    That is squared bias + variance x evaluations / budget. Its interval adds the intervals of its
    two parts.
    """
    bias, spread, share = squared_bias(blocks, truth), variance(blocks), evaluations / budget
    return Estimate(
        max(bias.value, 0.0) + share * spread.value,
        bias.low + share * spread.low,
        bias.high + share * spread.high,
    )


def _spread(statistic: np.ndarray) -> float:
    return quantile(len(statistic) - 2) * jackknife.error(statistic)


def _about(value: float, spread: float) -> Estimate:
    return Estimate(value, value * math.exp(-spread), value * math.exp(spread))
