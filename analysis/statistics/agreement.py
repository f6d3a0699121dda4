"""Whether two ways of measuring put the same things in the same order."""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

_DRAWS = 10_000


class Agreement(NamedTuple):
    """A rank correlation with its 95 % interval, of so many things."""

    tau: float
    low: float
    high: float
    size: int


def rank_agreement(
    known: np.ndarray, means: np.ndarray, errors: np.ndarray, freedom: np.ndarray
) -> Agreement:
    r"""Return Kendall's $\tau_b$ between known values and means that have errors.

    The interval holds the middle 95 % of $\tau_b$ when every mean is moved by its error times a
    Student variable, independently: what the data leave open of the means' order. The known values
    are taken as they are.

    Args:
        known: `[n]`.
        means: `[n]`.
        errors: `[n]`, standard errors of the means.
        freedom: `[n]`, their degrees of freedom; infinity for a normal error.

    Returns:
        The correlation, NaN where there are not two different known values.
    """
    if len(known) < 2 or np.ptp(known) == 0:  # there is no order
        return Agreement(np.nan, np.nan, np.nan, len(known))
    tau = float(_tau(known, means[None])[0])
    random = np.random.default_rng(0)
    # By the quantile function, which knows infinite degrees of freedom.
    noise = student.ppf(random.uniform(size=(_DRAWS, len(means))), freedom)
    low, high = np.nanquantile(_tau(known, means + errors * noise), (0.025, 0.975))
    return Agreement(tau, float(low), float(high), len(known))


def _tau(known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return tau-b of the known values with every row; NaN where either has one value only."""
    first, second = np.triu_indices(len(known), 1)
    signs = np.sign(known[first] - known[second])
    others = np.sign(rows[:, first] - rows[:, second])
    ties = np.count_nonzero(signs) * np.count_nonzero(others, axis=1)
    with np.errstate(invalid="ignore"):
        return others @ signs / np.sqrt(ties)
