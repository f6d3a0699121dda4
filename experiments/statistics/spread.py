"""Variance, mean squared error and error at equal cost, with their intervals."""

import math

import numpy as np

from experiments.statistics import jackknife
from experiments.statistics.blocks import Blocks
from experiments.statistics.distance import rounding
from experiments.statistics.estimate import Estimate, quantile
from experiments.statistics.limits import BELOW, alike, caution, refusal, resolution
from experiments.statistics.tails import tail
from experiments.statistics.truth import Truth


def variance(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the trace of the covariance of one gradient, tr S.

    The interval is computed for its logarithm, since a variance is skewed. Its upper end allows for
    a tail that the samples do not show (`Tail`). If all samples are equal, the variance is zero if
    they equal the truth; otherwise there is no interval.
    """
    value = float(blocks.variance.sum())
    if (why := refusal(blocks, truth)) or not math.isfinite(value):
        return Estimate.refused(0.0 if alike(blocks) else value, why)
    if alike(blocks):
        return Estimate.student(0.0)
    if value <= (least := resolution(blocks)):
        return Estimate(0.0, 0.0, least, BELOW)
    found = tail(blocks)
    error = found.caution * found.error
    return _about(value, quantile() * error, found.upwards * error)


def mean_squared_error(blocks: Blocks, truth: Truth, bias: Estimate, spread: Estimate) -> Estimate:
    """Return the mean squared distance of one gradient to the truth, squared bias + variance.

    The interval is computed for its logarithm, by the jackknife over the blocks of the samples and
    of the truth; its upper end allows for a tail that the samples do not show. The value includes
    the squared error of a sampled truth, which the jackknife misses: if the squared bias has by far
    the larger error, the interval is extended to contain the interval of squared bias + variance.

    Args:
        blocks: the samples.
        truth: the true gradient.
        bias: the squared bias of the samples.
        spread: the variance of one gradient.
    """
    errors = jackknife.squared_errors(blocks, truth)
    value = float(errors[0])
    if (why := refusal(blocks, truth)) or not math.isfinite(value):
        return Estimate.refused(value, why)
    if rounding(blocks, truth) >= value >= 0:
        return Estimate.student(0.0)
    runs = [errors]
    if truth.blocks is not None:
        # The estimate is |m - t|^2 plus terms independent of t.
        distances = np.sum((blocks.mean - jackknife.means(truth.blocks)) ** 2, -1)
        runs.append(value + distances - distances[0])
    if any(np.any(run <= 0) for run in runs):
        return Estimate.refused(value, "no larger than the error of the sampled true gradient")
    error = caution(blocks, truth) * math.hypot(
        *(quantile(len(run) - 2) * jackknife.error(np.log(run)) for run in runs),
        quantile() / blocks.count,  # the error of a fair coin varies only to second order
    )
    upwards = 1.0 if alike(blocks) else tail(blocks).upwards / quantile()
    found = _about(value, error, upwards * error)
    if truth.blocks is None or not bias.high - bias.low > 2 * (spread.high - spread.low):
        return found
    whole = _sum(bias, spread)
    return Estimate(value, min(found.low, whole.low), max(found.high, whole.high))


def _sum(bias: Estimate, spread: Estimate) -> Estimate:
    """Return squared bias + variance, treated as independent (Zou and Donner 2008)."""
    seen = max(bias.value, bias.low)  # an unbiased estimate may be negative
    value = seen + spread.value
    low = value - math.hypot(seen - bias.low, spread.value - spread.low)
    high = value + math.hypot(bias.high - seen, spread.high - spread.value)
    return Estimate(value, max(low, spread.low), high)


def equal_cost_error(bias: Estimate, spread: Estimate, evaluations: int, budget: float) -> Estimate:
    """Return squared bias + variance x evaluations / budget, the error at equal cost.

    A squared bias estimated below its interval is replaced by the low end of the interval, so the
    expected value is never too low. The intervals of the parts are added.

    Args:
        bias: the squared bias.
        spread: the variance of one gradient.
        evaluations: evaluations of f per gradient.
        budget: the total number of evaluations of f.
    """
    share = evaluations / budget
    seen = bias.value if math.isnan(bias.low) else max(bias.value, bias.low)
    return Estimate(
        max(seen, 0.0) + share * spread.value,
        bias.low + share * spread.low,
        bias.high + share * spread.high,
        bias.note or spread.note,
    )


def _about(value: float, below: float, above: float) -> Estimate:
    return Estimate(value, value * math.exp(-below), value * math.exp(above))
