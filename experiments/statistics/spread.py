"""Variance, mean squared error and error at equal cost, with their intervals."""

import math

import numpy as np

from experiments.measurement.moments import Blocks
from experiments.statistics import jackknife
from experiments.statistics.bias import squared_bias
from experiments.statistics.distance import rounding
from experiments.statistics.estimate import Estimate, Truth, quantile
from experiments.statistics.limits import BELOW, alike, caution, refusal, resolution
from experiments.statistics.tails import tail


def variance(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the trace of the covariance of one gradient, tr S.

    The interval is of its logarithm: a variance is skewed. Its upper end allows for a tail that the
    samples do not show (`Tail`). The truth says whether samples that are all alike are exact.
    """
    value = float(blocks.variance.sum())
    if not math.isfinite(value):
        return Estimate.refused(math.nan, refusal(blocks, truth))
    if why := refusal(blocks, truth):
        return Estimate.refused(0.0 if alike(blocks) else value, why)
    if alike(blocks):
        return Estimate(0.0, 0.0, 0.0)
    if value <= (least := resolution(blocks)):
        return Estimate(0.0, 0.0, least, BELOW)
    found = tail(blocks)
    error = found.caution * found.error
    return _about(value, quantile() * error, found.upwards * error)


def mean_squared_error(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the mean squared distance of one gradient to the truth, squared bias + variance.

    The interval is the jackknife's over blocks, those of the truth as well, of its logarithm; its
    upper end allows for a tail that the samples do not show. Where the truth is sampled, the value
    has the square of its error, which the jackknife does not see: where the squared bias has by far
    the larger error, the interval contains the one of squared bias + variance as well.
    """
    errors = jackknife.squared_errors(blocks, truth)
    value = float(errors[0])
    if not math.isfinite(value):
        return Estimate.refused(math.nan, refusal(blocks, truth))
    if why := refusal(blocks, truth):
        return Estimate.refused(value, why)
    if rounding(blocks, truth) >= value >= 0:
        return Estimate(0.0, 0.0, 0.0)
    runs = [errors]
    if truth.blocks is not None:
        # The estimate is |m - t|^2 plus what does not depend on t.
        distances = np.sum((blocks.mean - jackknife.means(truth.blocks)) ** 2, -1)
        runs.append(value + distances - distances[0])
    if any(np.any(run <= 0) for run in runs):
        return Estimate.refused(value, "no larger than the error of the sampled true gradient")
    spread = caution(blocks, truth) * math.hypot(
        *(quantile(len(run) - 2) * jackknife.error(np.log(run)) for run in runs),
        quantile() / blocks.count,  # a coin's error is at its largest, and varies but little
    )
    upwards = 1.0 if alike(blocks) else tail(blocks).upwards / quantile()
    found = _about(value, spread, upwards * spread)
    if truth.blocks is None:
        return found
    bias, noise = squared_bias(blocks, truth), variance(blocks, truth)
    if not bias.high - bias.low > 2 * (noise.high - noise.low):
        return found
    whole = _sum(bias, noise)
    return Estimate(value, min(found.low, whole.low), max(found.high, whole.high))


def _sum(bias: Estimate, spread: Estimate) -> Estimate:
    """Return squared bias + variance, as of independent estimates (Zou and Donner 2008)."""
    seen = max(bias.value, bias.low)  # an unbiased estimate may be negative
    value = seen + spread.value
    low = value - math.hypot(seen - bias.low, spread.value - spread.low)
    high = value + math.hypot(bias.high - seen, spread.high - spread.value)
    return Estimate(value, max(low, spread.low), high)


def equal_cost_error(bias: Estimate, spread: Estimate, evaluations: int, budget: float) -> Estimate:
    """Return the error at a budget of evaluations of f, squared bias + variance x share.

    The share is evaluations / budget. A squared bias whose estimate is below its interval, which
    begins at zero, counts as the interval's low end: the value is never too low in the mean, and
    too high by no more than the samples leave open. The interval adds the intervals of the parts.

    Args:
        bias: the squared bias.
        spread: the variance of one gradient.
        evaluations: of f, for one gradient.
        budget: evaluations of f in all.
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
