"""Estimates that claims test, from gradient samples and from training runs."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from experiments.statistics import Estimate, Truth, jackknife, sample_mean
from experiments.statistics.blocks import Blocks
from experiments.statistics.cosine import cosines
from experiments.statistics.distance import distance
from experiments.statistics.estimate import quantile
from experiments.statistics.limits import caution, exact, refusal, unseen
from experiments.statistics.tails import tail
from experiments.studies.claims.claim import Found

# P-values are bounded below by that of this many standard errors: the distribution is not known
# well enough further out.
_SUREST = 7.0
_NO_DIRECTION = "the mean gradient is not distinguishable from zero"
# A log is not finite if all samples are equal or a mean is below its noise; a note says so.
_unwarned = np.errstate(divide="ignore", invalid="ignore")


def share(values: np.ndarray) -> Estimate:
    """Return the fraction of successful trials; its error is never zero."""
    values = np.asarray(values, bool)
    count, part = len(values), float(values.mean())
    # Agresti and Coull (1998): two more successes and two more failures.
    padded = (values.sum() + 2) / (count + 4)
    return Estimate.student(part, math.sqrt(padded * (1 - padded) / (count + 4)))


def relative_bias(blocks: Blocks, truth: Truth) -> Found:
    """Return the relative norm of the bias, as a function of the tested end of the region.

    Its square is estimated without bias, so it may be negative, and then so is the value. For small
    biases the distribution is far from normal: the error is chosen such that Student's test against
    an end gives the p-value of the noncentral distribution (`Distance`) of samples with that bias.
    The error of a sampled norm is neglected: relative to the error of the bias it is of the order
    of the end.
    """
    from scipy import stats

    # The squared norm of a sampled truth is biased upwards by its squared error.
    found, square = distance(blocks, truth), float(truth.mean @ truth.mean) - truth.error
    if not square > 0:
        why = "the true gradient is not distinguishable from zero"
        return lambda end: Estimate.refused(math.nan, why)
    norm = math.sqrt(square)
    value = math.copysign(math.sqrt(abs(found.squared_bias)), found.squared_bias) / norm
    if why := refusal(blocks, truth):
        return lambda end: Estimate.refused(value, why)
    if not found.is_noisy:
        return lambda end: Estimate.student(value if found.q > found.rounding else 0.0)
    degrees = len(blocks.sums) - 1
    found = found.times(unseen(blocks, truth) * caution(blocks, truth) ** 2)
    spread = found.deviation(found.squared_bias) / norm**2
    plain = spread / max(2 * abs(value), math.sqrt(spread))
    surest = float(stats.t.isf(stats.norm.sf(_SUREST), degrees))

    def against(end: float) -> Estimate:
        apart = abs(value - end)
        chance = (found.above if value > end else found.below)(max(end * norm, 0.0) ** 2)
        score = float(stats.t.isf(max(chance, 1e-300), degrees))
        if apart < plain / 2 or score < 0.25:  # undecided: median and mean differ
            return Estimate.student(value, plain, degrees)
        error = apart / score if score < surest else min(plain, apart / surest)
        return Estimate.student(value, error, degrees)

    return against


def squared_bias_difference(first: Blocks, second: Blocks, truth: Truth) -> Estimate:
    """Return the difference of two squared biases, divided by the squared norm of the truth.

    The blocks of samples share their noise. The truth is exact.
    """
    norm = _exact_norm(truth) ** 2

    def biases(blocks: Blocks) -> np.ndarray:
        apart = np.sum((jackknife.means(blocks) - truth.mean) ** 2, -1)
        return apart - jackknife.traces(blocks) / jackknife.counts(blocks)

    # Near zero bias a square varies to second order, which the jackknife may miss.
    squares = sum(distance(blocks, truth).trace_square for blocks in (first, second))
    found = _jackknifed((biases(first) - biases(second)) / norm)
    return _of_means(_widened(found, math.sqrt(2 * squares) / norm), truth, first, second)


def mean_difference(first: Blocks, second: Blocks, truth: Truth) -> Estimate:
    """Return the difference of two means along the true gradient, divided by its norm.

    The blocks of samples share their noise. The truth is exact.
    """
    apart = (first.means - second.means) @ truth.mean
    return _of_means(sample_mean(apart / _exact_norm(truth) ** 2), truth, first, second)


def length_along(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the length of the mean along the true gradient, relative to its norm: 1 if unbiased.

    The truth is exact.
    """
    return _of_means(
        sample_mean(blocks.means @ truth.mean / _exact_norm(truth) ** 2), truth, blocks
    )


def angle(blocks: Blocks, truth: Truth) -> Estimate:
    """Return 1 minus the cosine between the mean and the true gradient, corrected for noise.

    The truth is exact.
    """
    _exact_norm(truth)
    if not blocks.mean.any():
        return Estimate.refused(math.nan, _NO_DIRECTION)
    # Noise turns the mean away from the truth: the jackknife corrects this to first order.
    turned = 1 - cosines(jackknife.means(blocks), truth.mean)
    found = dataclasses.replace(_jackknifed(turned), value=jackknife.corrected(turned))
    # Near zero it is half of a square, whose second-order term the jackknife may miss.
    square = math.sqrt(distance(blocks, truth).trace_square / 2) / float(blocks.mean @ blocks.mean)
    return _of_means(_widened(found, square), truth, blocks)


@_unwarned
def log_variance_ratio(first: Blocks, second: Blocks) -> Estimate:
    """Return the natural log of the ratio of variances, of blocks with common noise."""
    return of_variances(np.log(jackknife.traces(first) / jackknife.traces(second)), first, second)


@_unwarned
def log_signal_ratio(first: Blocks, second: Blocks) -> Estimate:
    """Return the natural log of the ratio of signal to noise, squared mean over variance.

    The blocks of samples share their noise.
    """

    def signal(blocks: Blocks) -> np.ndarray:
        spread, lengths = jackknife.traces(blocks), np.sum(jackknife.means(blocks) ** 2, -1)
        # The squared length of a sampled mean is biased upwards by its variance.
        return (lengths - spread / jackknife.counts(blocks)) / spread

    ratio = np.log(signal(first)) - np.log(signal(second))
    if math.isnan(ratio[0]):
        return Estimate.refused(math.nan, _NO_DIRECTION)
    return of_variances(ratio, first, second)


def relative_variance(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the variance divided by the squared norm of the truth, which is exact."""
    ratio = jackknife.traces(blocks) / _exact_norm(truth) ** 2
    if exact(blocks, truth):
        return _jackknifed(ratio)
    return of_variances(ratio, blocks, slope=float(ratio[0]))


def of_variances(values: np.ndarray, *runs: Blocks, slope: float = 1.0) -> Estimate:
    """Return a statistic of the variances of samples, without an error if events are too few.

    Args:
        values: the statistic of all samples, then without each of R blocks, `[1 + R]`.
        *runs: the samples.
        slope: the derivative of the statistic in the log of one of the variances.
    """
    tails = [tail(run) for run in runs]
    # A variance at its maximum, a fair coin's, varies to second order, which the jackknife misses.
    flat = [2**0.5 / one.count for one in tails if one.error < 10 / one.count]
    found = _widened(_jackknifed(values), slope * math.hypot(*flat))
    # The unseen part of a tail increases the log of a variance.
    factor = max(one.upwards * one.caution for one in tails) / quantile()
    return _with_tails(found, factor, [one.refusal for one in tails])


def _of_means(found: Estimate, truth: Truth, *runs: Blocks) -> Estimate:
    """Return an estimate from means, without an error if events are too few."""
    factor = max(math.sqrt(unseen(run, truth)) * caution(run, truth) for run in runs)
    return _with_tails(found, factor, [refusal(run, truth) for run in runs])


def _with_tails(found: Estimate, factor: float, refusals: Sequence[str]) -> Estimate:
    """Return an estimate with its error scaled by a factor, or no error if events are too few."""
    why = next(filter(None, refusals), "")
    if not why and math.isfinite(found.value) and not math.isfinite(found.error):
        why = "undefined without some of the samples: more samples are needed"
    if why:
        return found.unsure(why)
    return Estimate.student(found.value, found.error * factor, found.degrees)


def _widened(found: Estimate, error: float) -> Estimate:
    """Return an estimate with one more, independent error added."""
    return Estimate.student(found.value, math.hypot(found.error, error), found.degrees)


@_unwarned
def _jackknifed(values: np.ndarray) -> Estimate:
    """Return a statistic with the jackknife's error, from its values `[1 + R]`."""
    return Estimate.student(float(values[0]), jackknife.error(values), len(values) - 2)


def _exact_norm(truth: Truth) -> float:
    """Return the norm of an exact true gradient.

    Raises:
        ValueError: if it is sampled, since its error would be neglected.
    """
    if truth.blocks is not None:
        raise ValueError("the true gradient must be exact")
    return float(np.linalg.norm(truth.mean))


def paired(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Return the mean difference of runs that share their seeds; NaN if one diverged."""
    return sample_mean(np.asarray(first, float) - np.asarray(second, float))
