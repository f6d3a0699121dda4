"""Means and medians with their intervals."""

import math

import numpy as np
from numpy.typing import ArrayLike

from experiments.statistics.blocks import Blocks
from experiments.statistics.estimate import LEVEL, Estimate, quantile
from experiments.statistics.tails import tail


def mean(blocks: Blocks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean gradient and the ends of its coordinates' normal intervals, each `[P]`.

    With too few events the ends are NaN.
    """
    found = tail(blocks)
    half = found.caution * quantile() * np.sqrt(found.unseen * blocks.variance / blocks.count)
    if found.refusal:
        half = np.full_like(half, math.nan)
    return blocks.mean, blocks.mean - half, blocks.mean + half


def sample_mean(values: ArrayLike, caution: float = 1.0) -> Estimate:
    """Return the mean of independent values with Student's interval; one value has none.

    Args:
        values: `[n]`.
        caution: the factor by which interval and standard error are lengthened.
    """
    values = np.asarray(values, float)
    average, degrees = float(values.mean()), len(values) - 1
    if not degrees:
        return Estimate.refused(average, "")
    deviation, root = float(values.std(ddof=1)), math.sqrt(len(values))
    half = caution * quantile(degrees) * deviation / root
    return Estimate(
        average, average - half, average + half, "", caution * deviation / root, degrees
    )


def median(values: np.ndarray) -> Estimate:
    """Return the median of independent values with its interval; fewer than six give none."""
    from scipy import stats

    interval = stats.quantile_test(values, q=0, p=0.5).confidence_interval(LEVEL)
    return Estimate(float(np.median(values)), float(interval.low), float(interval.high))
