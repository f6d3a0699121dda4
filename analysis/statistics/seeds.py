"""Means over seeds, with intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.statistics.student import quantile

FEWEST = 3
"""The fewest seeds for an interval in a figure: that of two is 13 standard errors to each side."""


def over_seeds(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the mean over seeds of every group, with its 95 % interval.

    Returns:
        `value`, `low`, `high`, `seeds`, one line per group. The interval is Student's t over the
        seeds; a single seed keeps the interval of its row.
    """
    groups = rows.groupby(list(by), sort=False, dropna=False)
    lines = groups[["low", "high"]].first().assign(seeds=groups.size())
    # Missing values are kept, since a mean without the failed runs would be too optimistic.
    lines.insert(0, "value", groups["value"].mean(skipna=False))
    several = lines["seeds"] > 1
    degrees = lines["seeds"].clip(lower=2) - 1
    half = quantile(degrees) * groups["value"].std(skipna=False) / np.sqrt(lines["seeds"])
    lines["low"] = lines["low"].where(~several, lines["value"] - half)
    lines["high"] = lines["high"].where(~several, lines["value"] + half)
    return lines
