"""Means over seeds, with intervals."""

from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """A statistic of `size` seeds, with its interval."""

    value: float
    low: float
    high: float
    size: int


def mean(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Return the mean over seeds with Student's interval; NaN bounds for fewer than two.

    Args:
        values: `[seeds]`.
        confidence: of the interval.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return Interval(float(values.mean()), np.nan, np.nan, len(values))
    error = float(stats.sem(values))
    if error == 0:
        return Interval(float(values[0]), float(values[0]), float(values[0]), len(values))
    low, high = stats.t.interval(confidence, len(values) - 1, values.mean(), error)
    return Interval(float(values.mean()), float(low), float(high), len(values))


def interquartile_mean(
    values: np.ndarray, confidence: float = 0.95, *, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Return the mean of the middle half with its bootstrap interval (BCa).

    It is less sensitive to failed runs than the mean, and less noisy than the median (Agarwal et
    al. 2021, arXiv:2108.13264).

    Args:
        values: `[runs]`, at least four.
        confidence: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: for fewer than four runs, which have no middle half.
    """
    values = np.asarray(values, float)
    if len(values) < 4:
        raise ValueError(f"an interquartile mean needs at least 4 runs, not {len(values)}")
    middle = float(stats.trim_mean(values, 0.25))
    if np.ptp(values) == 0:
        return Interval(middle, middle, middle, len(values))
    found = stats.bootstrap(
        (values,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        confidence_level=confidence,
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(middle, float(found.low), float(found.high), len(values))


def paired_difference(
    first: np.ndarray, second: np.ndarray, confidence: float = 0.95
) -> tuple[Interval, float]:
    """Return the mean difference under common random numbers, and its p-value.

    Runs with the same seed share data, initialisation and noise, so their difference is less noisy
    than either. The interval and the two-sided p-value are Student's, over the pairs.

    Args:
        first: `[seeds]`.
        second: `[seeds]`, in the same order.
        confidence: of the interval.

    Raises:
        ValueError: if the lengths differ.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape:
        raise ValueError(f"pairs need one length, not {len(first)} and {len(second)}")
    difference = mean(first - second, confidence)
    if not difference.low < difference.high:
        chance = np.nan if np.isnan(difference.low) else float(difference.value == 0)
        return difference, chance
    return difference, float(stats.ttest_rel(first, second).pvalue)
