"""Differences of two estimates, from their intervals or from their values over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_QUANTILE = 1.959964
"""Half of a 95 % interval of a normal estimate, in standard errors."""


class Test(NamedTuple):
    """Tests that differences are zero.

    Attributes:
        error: `[n]`, standard errors of the differences; NaN where unknown.
        z: `[n]`, the differences in standard errors.
        p: `[n]`, two-sided p-values.
    """

    error: np.ndarray
    z: np.ndarray
    p: np.ndarray


def facing_error(value: ArrayLike, low: ArrayLike, high: ArrayLike, rises: ArrayLike) -> np.ndarray:
    r"""Return the standard error of estimates on the side that faces another value.

    An interval may be asymmetric. The distance of a from a larger b depends on how far a may lie
    above its estimate and b below its own, so the error of $b - a$ is
    $\sqrt{(u_a - a)^2 + (b - l_b)^2} / 1.96$ (the square-and-add limits of Newcombe 1998, "MOVER").
    If an end of the interval is not beyond the value, as at the boundary of what is possible, the
    other side is used. Intervals of Student's t are a few percent longer than 1.96 standard errors,
    so the error is overestimated by that.

    Args:
        value: `[n]`, estimates.
        low: `[n]`, lower ends of their 95 % intervals.
        high: `[n]`, upper ends.
        rises: `[n]`, whether the other value is larger.

    Returns:
        `[n]`; zero for an exact value, whose interval has no length, NaN without an interval.
    """
    value, low, high = (np.asarray(one, float) for one in (value, low, high))
    above, below = high - value, value - low
    facing = np.where(rises, above, below)
    return np.where(facing > 0, facing, np.maximum(above, below)) / _QUANTILE


def by_errors(difference: np.ndarray, error: np.ndarray) -> Test:
    """Return normal tests of differences with known standard errors.

    Args:
        difference: `[n]`, the part of each difference that rounding does not explain.
        error: `[n]`, standard errors; zero for exact values, NaN where unknown.
    """
    from scipy import special

    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(difference == 0, 0.0 * error, difference / error)
    return Test(error, z, 2 * special.ndtr(-np.abs(z)))


def by_seeds(
    difference: np.ndarray, variances: Sequence[np.ndarray], sizes: Sequence[np.ndarray]
) -> Test:
    """Return Student's two-sample tests of means over seeds.

    The variances over seeds are pooled, since they are equal if the two sides do not differ: a
    single seed on one side is enough if the other has several. With one seed on each side, or a
    missing value, the error is unknown. For seeds that both sides have, whose values rise and fall
    together, the test is conservative.

    Args:
        difference: `[n]`, the part of each difference of means that rounding does not explain.
        variances: `[n]` of each side, variances of the values over seeds; any for one seed.
        sizes: `[n]` of each side, numbers of seeds.
    """
    from scipy import special

    degrees = sizes[0] + sizes[1] - 2
    squares, shares = np.zeros(len(difference)), np.zeros(len(difference))
    for variance, size in zip(variances, sizes, strict=True):
        squares += np.where(size > 1, (size - 1) * variance, 0.0)
        shares += 1 / size
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(degrees > 0, np.sqrt(squares / degrees * shares), np.nan)
        t = np.where(difference == 0, 0.0 * error, difference / error)
    return Test(error, t, 2 * special.stdtr(np.maximum(degrees, 1), -np.abs(t)))


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted by Holm's method; NaNs stay, and do not count.

    The probability that any true null hypothesis has an adjusted p-value of at most a level is at
    most that level, under any dependence.

    Args:
        p: `[n]`.
    """
    adjusted = np.full(len(p), np.nan)
    places = np.flatnonzero(~np.isnan(p))
    order = places[np.argsort(p[places], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted
