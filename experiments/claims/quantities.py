"""Quantities with standard errors, from gradient samples and from training runs."""

import math

import numpy as np
from scipy import stats

from experiments.claims.claim import Found, Quantity
from experiments.intervals import Truth, jackknife
from experiments.intervals.cosine import cosines
from experiments.intervals.distance import distance
from experiments.intervals.limits import refusal, unseen
from experiments.intervals.tails import tail
from experiments.moments import Blocks

# Nothing is surer than by so many standard errors: further out no law of samples is known so well.
_SUREST = 7.0


def mean(values: np.ndarray) -> Quantity:
    """Return the mean of independent values."""
    values = np.asarray(values, float)
    error = float(stats.sem(values))
    return Quantity(float(values.mean()), error, len(values) - 1)


def share(values: np.ndarray) -> Quantity:
    """Return the share of independent trials that succeeded; none or all still leave a doubt."""
    values = np.asarray(values, bool)
    count, part = len(values), float(values.mean())
    # Agresti and Coull: as if two more had succeeded and two had failed.
    padded = (values.sum() + 2) / (count + 4)
    return Quantity(part, math.sqrt(padded * (1 - padded) / (count + 4)))


def relative_bias(blocks: Blocks, truth: Truth) -> Found:
    """Return the norm of the bias over that of the true gradient, and its test.

    Its square is an unbiased estimate, so it may be negative; then so is the value. The law is far
    from normal where the bias is small: against an end of a region, the error is such that
    Student's test of it gives the p-value of the noncentral law (`Distance`) of samples whose bias
    is that end.
    """
    found, norm = distance(blocks, truth), float(np.linalg.norm(truth.mean))
    value = math.copysign(math.sqrt(abs(found.squared_bias)), found.squared_bias) / norm
    if not found.is_noisy:
        return lambda end: Quantity(value if found.q > found.rounding else 0.0)
    degrees, why = len(blocks.sums) - 1, refusal(blocks, truth)
    if why:
        return lambda end: Quantity(value, math.inf, degrees, why)
    found = found.times(unseen(blocks, truth))
    spread = found.deviation(found.squared_bias) / norm**2
    plain = spread / max(2 * abs(value), math.sqrt(spread))

    def against(end: float) -> Quantity:
        apart = abs(value - end)
        chance = (found.above if value > end else found.below)(max(end * norm, 0.0) ** 2)
        score = float(stats.norm.isf(max(chance, 1e-300)))
        if apart < plain / 2 or score < 0.25:  # undecided: the law's median is not its mean
            return Quantity(value, plain, degrees)
        error = apart / score if score < _SUREST else min(plain, apart / _SUREST)
        return Quantity(value, error, degrees)

    return against


def squared_bias_difference(first: Blocks, second: Blocks, truth: Truth) -> Quantity:
    """Return how much larger the first's squared bias is, over the squared norm of the truth.

    The samples share their noise, block by block.
    """
    norm = float(truth.mean @ truth.mean)

    def biases(blocks: Blocks) -> np.ndarray:
        apart = np.sum((jackknife.means(blocks) - truth.mean) ** 2, -1)
        return apart - jackknife.traces(blocks) / jackknife.counts(blocks)

    return jackknifed((biases(first) - biases(second)) / norm)


def mean_difference(first: Blocks, second: Blocks, truth: Truth) -> Quantity:
    """Return how far two means lie apart along the true gradient, over its norm.

    The samples share their noise, block by block.
    """
    apart = first.means - second.means
    return mean(apart @ truth.mean / (truth.mean @ truth.mean))


def length_along(blocks: Blocks, truth: Truth) -> Quantity:
    """Return the length of the mean along the true gradient, over its norm: 1 where unbiased."""
    return mean(blocks.means @ truth.mean / (truth.mean @ truth.mean))


def angle(blocks: Blocks, truth: Truth) -> Quantity:
    """Return 1 less the cosine between the mean and the true gradient, corrected for its noise."""
    # Noise turns any mean away: to first order the jackknife says how far.
    turned = 1 - cosines(jackknife.means(blocks), truth.mean)
    return jackknifed(turned)._replace(value=jackknife.corrected(turned))


def log_variance_ratio(first: Blocks, second: Blocks) -> Quantity:
    """Return the natural log of the ratio of variances, under common noise block by block."""
    found = jackknifed(np.log(jackknife.traces(first) / jackknife.traces(second)))
    if why := tail(first).refusal or tail(second).refusal:
        return found._replace(error=math.inf, note=why)
    return found


def jackknifed(values: np.ndarray) -> Quantity:
    """Return a statistic with the jackknife's error, from its values `[1 + R]`.

    The first is that of all samples, the others are without one of R blocks.
    """
    return Quantity(float(values[0]), jackknife.error(values), len(values) - 2)


def signal_to_noise(blocks: Blocks) -> np.ndarray:
    """Return the log of the squared mean over the variance, of all, then without one block."""
    spread, lengths = jackknife.traces(blocks), np.sum(jackknife.means(blocks) ** 2, -1)
    # The squared length of a sampled mean is too large by its own variance.
    return np.log((lengths - spread / jackknife.counts(blocks)) / spread)


def relative_variance(blocks: Blocks, truth: Truth) -> Quantity:
    """Return the variance over the squared norm of the truth, where a theorem says it is none."""
    return Quantity(float(jackknife.traces(blocks)[0] / (truth.mean @ truth.mean)))


def paired(first: np.ndarray, second: np.ndarray) -> Quantity:
    """Return the mean difference of runs that share their seeds; NaN where a run diverged."""
    return mean(np.asarray(first, float) - np.asarray(second, float))
