"""Which of several quantities may be the least."""

import numpy as np
import pandas as pd

_LEVEL = 0.05


def replicates(texts: pd.Series) -> pd.DataFrame:
    """Return the column `replicates` of a results table as numbers, a line for each row.

    Lines without replicates, or with another number of them than the first, are NaN.
    """
    found = list(map(_numbers, texts))
    count = next(filter(None, map(len, found)), 0)
    rows = [one if len(one) == count else [np.nan] * count for one in found]
    return pd.DataFrame(rows, index=texts.index, columns=range(count), dtype=float)


def _numbers(text: object) -> list[float]:
    try:
        return list(map(float, text.split())) if isinstance(text, str) else []
    except ValueError:
        return []


def may_be_least(values: pd.Series, paired: pd.DataFrame) -> pd.Series:
    """Return which quantities may be the least, at 95 %.

    Each is compared with the one of the least value by Student's test of the paired differences of
    their replicates, one-sided, at level 5 % / (K - 1) for K quantities (Bonferroni): the one that
    is the least in truth is missed in at most 5 % of samples. Pairing removes what the quantities
    have in common, such as the noise from common random numbers.

    Args:
        values: the quantities; NaN for those that are not compared.
        paired: their replicates, line by line: estimates that are independent from column to
            column, and may depend on each other within a column.

    Returns:
        A flag for each line; False where there is no value or no replicates.
    """
    from scipy import special

    known = np.isfinite(values) & np.isfinite(paired).all(axis=1)
    flags = pd.Series(False, index=values.index)
    count = paired.shape[1]
    if count < 2 or not known.any():
        return flags
    best = int(np.argmin(values.where(known, np.inf)))
    apart = paired[known] - paired.iloc[best]
    error = apart.std(axis=1, ddof=1) / np.sqrt(count)
    level = _LEVEL / max(int(known.sum()) - 1, 1)
    flags[known] = apart.mean(axis=1) <= special.stdtrit(count - 1, 1 - level) * error
    return flags
