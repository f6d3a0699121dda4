"""Comparisons at points of several seeds, as one: means over seeds, with intervals."""

import numpy as np
import pandas as pd

from analysis.rows import joined_notes, without_skipped
from analysis.statistics.seeds import over_seeds

_BY = ["estimator", "metric"]


def pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a comparison with one row per metric of an estimator.

    The rows of a single seed are returned as they are. Of several, a value is the mean over seeds,
    and its interval Student's t over the seeds' values. Exceptions: the norm of the true gradient
    is the root mean square, whose square is what a zero gradient scores; a p-value is Bonferroni's
    of the seeds' p-values; the replicates are the seeds' values; a metric that one seed has, such
    as the time, keeps its interval. An estimator that is skipped at a seed is skipped.

    Args:
        rows: a tidy result table of one context, without repeated metrics.
    """
    if rows["seed"].nunique() < 2:
        return rows
    _, reasons = without_skipped(rows)
    is_left = (rows["metric"] == "skipped") | ~rows["estimator"].isin(list(reasons))
    lines = rows[is_left].drop_duplicates(_BY).copy()
    index = pd.MultiIndex.from_frame(lines[_BY])
    means = over_seeds(rows[is_left], _BY).reindex(index)
    groups = rows[is_left].groupby(_BY, sort=False)
    for name in ("value", "low", "high"):
        lines[name] = means[name].to_numpy(float)
    for metric, combine in (("truth_norm", _root_mean_square), ("unbiased_p_value", _smallest)):
        chosen = (lines["metric"] == metric).to_numpy()
        combined = groups["value"].agg(combine).reindex(index[chosen])
        lines.loc[chosen, "value"] = combined.to_numpy(float)
        lines.loc[chosen, ["low", "high"]] = np.nan
    if "replicates" in lines:
        # Each seed is one, where a metric has them.
        ordered = rows[is_left].sort_values("seed").groupby(_BY, sort=False)["value"]
        each = ordered.agg(lambda found: " ".join(f"{value:.17g}" for value in found))
        has_any = lines["replicates"].fillna("") != ""
        lines["replicates"] = np.where(has_any, each.reindex(index).to_numpy(), "")
    lines["note"] = groups["note"].agg(joined_notes).reindex(index).to_numpy()
    lines.attrs = rows.attrs
    return lines


def _root_mean_square(values: pd.Series) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _smallest(p_values: pd.Series) -> float:
    """Return the p-value of no bias at any seed."""
    return min(1.0, len(p_values) * float(p_values.min()))
