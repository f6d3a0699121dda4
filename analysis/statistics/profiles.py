"""Ratios to the best, ranks and performance profiles of methods over points."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

_RESAMPLES = 1000


def ratios(errors: pd.Series, reaches_zero: pd.Series, tied: pd.Series) -> pd.Series:
    """Return each error over the best one of its point; 1 for those that may be the best.

    The best is the least error whose interval does not reach zero: one that reaches zero says
    nothing of the size of the error, and ties with the best, as all do if all reach it.

    Args:
        errors: the errors at a point; NaN for those that are not compared.
        reaches_zero: whether the interval of each reaches zero.
        tied: whether each is not distinguishable from the least.
    """
    best = errors.where(~reaches_zero).min()
    found = (errors / best).clip(lower=1.0)
    return found.mask((reaches_zero | tied | np.isnan(best)) & errors.notna(), 1.0)


def ranks(values: np.ndarray, tied: np.ndarray) -> np.ndarray:
    r"""Return ranks from 0, the best, to 1, the last; equal ones share the mean of theirs.

    An estimator's rank is the share of the others that are better, so that it does not depend on
    how many there are. It is 1/2 without any others.

    Args:
        values: `[..., n]`, errors; NaN for those that are not ranked.
        tied: `[..., n]`, which share the first ranks.

    Returns:
        `[..., n]`, NaN for those that are not ranked.
    """
    known = ~np.isnan(values)
    placed = np.where(tied, -np.inf, values)
    below = (placed[..., None, :] < placed[..., :, None]) & known[..., None, :]
    equal = (placed[..., None, :] == placed[..., :, None]) & known[..., None, :]
    others = known.sum(-1, keepdims=True) - 1
    better = below.sum(-1) + (equal.sum(-1) - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, np.where(others > 0, better / others, 0.5), np.nan)


def mean_ranks(
    values: np.ndarray, errors: np.ndarray, tied: np.ndarray, problems: Sequence[str]
) -> pd.DataFrame:
    """Return the mean rank of each estimator over its points, with its 95 % interval.

    The interval is that of a bootstrap: problems are drawn with replacement, each with all its
    points, and every error is drawn from its own normal distribution; those that tie with the best
    stay so.

    Args:
        values: `[points, estimators]`, errors; NaN where an estimator is not ranked.
        errors: `[points, estimators]`, their standard errors.
        tied: `[points, estimators]`, which tie with the best.
        problems: `[points]`, the problem of each point.

    Returns:
        `rank`, `rank_low` and `rank_high`, a line for each estimator; no interval for one problem.
    """
    random = np.random.default_rng(0)
    names, places = np.unique(problems, return_inverse=True)
    drawn = np.empty((_RESAMPLES, values.shape[1]))
    for number in range(_RESAMPLES):
        noisy = values + errors * random.standard_normal(values.shape)
        picked = random.integers(len(names), size=len(names))
        weights = np.bincount(picked, minlength=len(names))[places].astype(float)
        drawn[number] = _mean(ranks(noisy, tied), weights)
    enough = [len({*np.asarray(problems)[column]}) > 1 for column in ~np.isnan(values.T)]
    # An estimator may be missing from all problems that were drawn.
    low, high = np.where(enough, np.nanquantile(drawn, (0.025, 0.975), axis=0), np.nan)
    mean = _mean(ranks(values, tied), np.ones(len(values)))
    return pd.DataFrame({"rank": mean, "rank_low": low, "rank_high": high})


def _mean(found: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of the known values of each column, NaN without any."""
    known = ~np.isnan(found)
    with np.errstate(invalid="ignore"):
        return (weights @ np.nan_to_num(found)) / (weights @ known)


def profile(ratios: pd.DataFrame, factors: np.ndarray) -> pd.DataFrame:
    """Return the performance profile of each column: the share of points within each factor.

    Dolan and More 2002. Shares are over the points where the column is known.

    Args:
        ratios: `[points, methods]`, ratios to the best of the point.
        factors: `[n]`, from 1.

    Returns:
        `[n, methods]`, with the factors as index.
    """
    shares = {
        name: [float((known <= factor).mean()) for factor in factors]
        for name, column in ratios.items()
        if len(known := column.dropna())
    }
    return pd.DataFrame(shares, index=pd.Index(factors, name="factor"))
