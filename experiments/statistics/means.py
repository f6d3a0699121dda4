"""Means and medians with their intervals."""

import math

import numpy as np
from scipy import stats

from experiments.measurement.moments import Blocks
from experiments.statistics.estimate import LEVEL, Estimate, quantile
from experiments.statistics.tails import tail


def mean(blocks: Blocks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean gradient and the ends of its coordinates' normal intervals, each `[P]`.

    With too few events the ends are nan.
    """
    found = tail(blocks)
    half = found.caution * quantile() * np.sqrt(found.unseen * blocks.variance / blocks.count)
    if found.refusal:
        half = np.full_like(half, math.nan)
    return blocks.mean, blocks.mean - half, blocks.mean + half


def sample_mean(values: np.ndarray) -> Estimate:
    """Return the mean of values with Student's interval; of one alone there is none."""
    average, count = float(values.mean()), len(values)
    if count < 2:
        return Estimate(average, math.nan, math.nan)
    half = quantile(count - 1) * float(values.std(ddof=1)) / math.sqrt(count)
    return Estimate(average, average - half, average + half)


def seconds(blocks: Blocks) -> Estimate:
    """Return the median time per gradient; the interval is that of the median over rounds."""
    ordered = np.sort(blocks.seconds)
    # Order statistics that hold the median with at least 95%, or all there are.
    rank = int(stats.binom.ppf((1 - LEVEL) / 2, len(ordered), 0.5))
    low, high = ordered[max(rank - 1, 0)], ordered[min(len(ordered) - rank, len(ordered) - 1)]
    return Estimate(float(np.median(ordered)), float(low), float(high))
