"""Whether two samples of gradients have the same mean and variance."""

from typing import NamedTuple

import numpy as np

_ROUNDING = 1e-6
"""Relative error of float32 arithmetic, below which a difference is none."""


class Sample(NamedTuple):
    """Independent gradients.

    Attributes:
        losses: `[n]` estimates of E f.
        gradients: `[n, K]` estimates of its gradient.
    """

    losses: np.ndarray
    gradients: np.ndarray


def z_score(one: np.ndarray, other: np.ndarray) -> float:
    r"""Return the z-score of the difference of means, of the coordinate where it is largest.

    $z = (\bar x - \bar y) / \sqrt{s_x^2 / n + s_y^2 / m}$. The error of rounding is added to the
    standard error, so that exact gradients can be compared. A constant is a sample of one.

    Args:
        one: `[n]` or `[n, K]` values.
        other: `[m]` or `[m, K]` values.
    """
    rows, others = one.reshape(len(one), -1), other.reshape(len(other), -1)
    squares = _squared_error(rows) + _squared_error(others)
    squares += (_ROUNDING * max(np.abs(rows).max(), np.abs(others).max())) ** 2
    scores = (rows.mean(0) - others.mean(0)) / np.sqrt(squares)
    return float(scores[np.abs(scores).argmax()])


def _squared_error(rows: np.ndarray) -> np.ndarray:
    return rows.var(0, ddof=1) / len(rows) if len(rows) > 1 else np.zeros(rows.shape[1])


def variance_ratio(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float] | None:
    r"""Return the ratio of the traces of two covariances, with its 95 % interval.

    The interval is normal on the logarithm, by the delta method: the trace is the mean of
    $\|g - \bar g\|^2$.

    Returns:
        The ratio and the ends of its interval; None if neither sample varies, and infinity or zero
        without an interval if one of them does not.
    """
    (first, error), (second, other_error) = _trace(one), _trace(other)
    if not (first or second):
        return None
    if not (first and second):
        only = np.inf if first else 0.0
        return only, only, only
    half = 1.96 * np.hypot(error / first, other_error / second)
    ratio = first / second
    return ratio, ratio * np.exp(-half), ratio * np.exp(half)


def _trace(rows: np.ndarray) -> tuple[float, float]:
    """Return the trace of the covariance, zero if it is rounding, and its standard error."""
    squares = ((rows - rows.mean(0)) ** 2).sum(1)
    if squares.mean() <= (10 * _ROUNDING) ** 2 * (rows**2).sum(1).mean():
        return 0.0, 0.0
    return float(squares.mean()), float(squares.std(ddof=1) / np.sqrt(len(rows)))
