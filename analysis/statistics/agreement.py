"""Rank agreement of two sets of measurements."""

from typing import NamedTuple

import numpy as np

_RESAMPLES = 10_000


class Agreement(NamedTuple):
    """A rank correlation of `size` items, with its 95 % interval."""

    tau: float
    low: float
    high: float
    size: int


def rank_agreement(
    known: np.ndarray, means: np.ndarray, errors: np.ndarray, freedom: np.ndarray
) -> Agreement:
    r"""Return Kendall's $\tau_b$ between known values and uncertain means.

    The interval is the central 95 % of $\tau_b$ after adding to every mean its error times an
    independent Student t variable. The known values are treated as exact.

    Args:
        known: `[n]`.
        means: `[n]`.
        errors: `[n]`, standard errors of the means.
        freedom: `[n]`, their degrees of freedom; infinity for a normal error.

    Returns:
        The correlation; NaN if all known values are equal.
    """
    if len(known) < 2 or np.ptp(known) == 0:  # the order is undefined
        return Agreement(np.nan, np.nan, np.nan, len(known))
    from scipy import stats

    tau = float(_tau(known, means[None])[0])
    random = np.random.default_rng(0)
    # Through the quantile function, which accepts infinite degrees of freedom.
    noise = stats.t.ppf(random.uniform(size=(_RESAMPLES, len(means))), freedom)
    low, high = np.nanquantile(_tau(known, means + errors * noise), (0.025, 0.975))
    return Agreement(tau, float(low), float(high), len(known))


def _tau(known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return tau-b between the known values and every row; NaN if either is constant.

    Vectorised, since 10,000 calls of `scipy.stats.kendalltau` take seconds.
    """
    first, second = np.triu_indices(len(known), 1)
    signs = np.sign(known[first] - known[second])
    others = np.sign(rows[:, first] - rows[:, second])
    ties = np.count_nonzero(signs) * np.count_nonzero(others, axis=1)
    with np.errstate(invalid="ignore"):
        return others @ signs / np.sqrt(ties)
