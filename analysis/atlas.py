"""The cells of the atlas: each estimator at each point, beside the best one there."""

import numpy as np
import pandas as pd

from analysis.rows import check, configuration, without_skipped
from analysis.statistics.difference import facing_error
from analysis.statistics.profiles import mean_ranks, ratios
from analysis.statistics.ties import may_be_least, replicates

COLUMNS = (
    *("study", "problem", "objective", "law", "group", "trained_with", "step", "estimator"),
    *("short_name", "method", "unbiased", "evaluations", "samples"),
    *("metric", "value", "low", "high", "note", "replicates"),
)
POINT = ["problem", "step"]
_METRICS = {
    "equal_cost_error": "error",
    "squared_bias": "squared_bias",
    "variance": "variance",
    "truth_norm": "truth_norm",
}
_ABOUT = ["law", "trained_with", "short_name", "method", "unbiased", "evaluations", "samples"]

NO_VARIANCE = 1e-9
"""A variance, relative to the squared norm of the gradient, that is float32's rounding."""

KINDS = ("unbiased", "biased")
"""Estimators are ranked with their kind; one that is unbiased up to scale is a biased one."""


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each cell that was measured, in the order of the rows.

    Args:
        rows: the tidy table of `estimax atlas`.

    Returns:
        `problem`, `step`, `law`, `trained_with`, `estimator`, `short_name`, `method`, `unbiased`,
        `kind` ("unbiased" or "biased"), `evaluations`, `samples`; `error` (at equal cost),
        `squared_bias`, `variance` with `_low` and `_high`, in squared units of the gradient, and
        `truth_norm`; `is_exact`, for an unbiased estimator without variance; `reaches_zero`, the
        interval of the error; `ratio`, the error over the best of all estimators at the point,
        and `ratio_of_kind`, over the best of its kind (`statistics.profiles.ratios`), NaN for
        exact estimators and errors without an interval; `tied` and `tied_of_kind`, where the
        ratio is 1 because no difference is seen.

    Raises:
        ValueError: if the table is empty, lacks a column, or nothing was measured.
    """
    check(rows, COLUMNS)
    measured, _ = without_skipped(rows)
    keys = [*POINT, "estimator"]
    if measured.empty:
        raise ValueError("no estimator was measured")
    if measured.duplicated([*keys, "metric"]).any():
        raise ValueError("the result table holds a metric of a cell twice")
    lines = measured.groupby(keys, sort=False)[_ABOUT].first()
    for metric, name in _METRICS.items():
        own = measured[measured["metric"] == metric].set_index(keys)
        lines[name] = own["value"].reindex(lines.index)
        if metric != "truth_norm":
            lines[f"{name}_low"] = own["low"].reindex(lines.index)
            lines[f"{name}_high"] = own["high"].reindex(lines.index)
    budget = configuration(rows).get("budget", np.nan)
    paired = _paired(measured, keys, lines, budget)
    lines = lines.reset_index()
    lines["kind"] = np.where(lines["unbiased"] == "yes", "unbiased", "biased")
    small = lines["variance_high"].fillna(lines["variance"]) <= (
        NO_VARIANCE * lines["truth_norm"] ** 2
    )
    lines["is_exact"] = small & (lines["kind"] == "unbiased")
    lines["reaches_zero"] = (lines["error_low"] <= 0) | (lines["error"] <= 0)
    for suffix, by in (("", POINT), ("_of_kind", [*POINT, "kind"])):
        _add_ratios(lines, paired, suffix, by)
    return lines


def _paired(
    measured: pd.DataFrame, keys: list[str], lines: pd.DataFrame, budget: float
) -> pd.DataFrame:
    """Return the replicates of the error at equal cost of each cell."""
    bias, spread = (
        replicates(own["replicates"].reindex(lines.index))
        for metric in ("squared_bias", "variance")
        for own in [measured[measured["metric"] == metric].set_index(keys)]
    )
    errors = bias + spread.mul(lines["evaluations"] / budget, axis=0)
    return errors.reset_index(drop=True)


def _add_ratios(lines: pd.DataFrame, paired: pd.DataFrame, suffix: str, by: list[str]) -> None:
    lines[f"ratio{suffix}"] = np.nan
    lines[f"tied{suffix}"] = False
    is_compared = ~lines["is_exact"] & lines[["error", "error_low", "error_high"]].notna().all(
        axis=1
    )
    for _, own in lines[is_compared].groupby(by, sort=False):
        reached = own["reaches_zero"]
        tied = may_be_least(own["error"].where(~reached), paired.loc[own.index])
        lines.loc[own.index, f"ratio{suffix}"] = ratios(own["error"], reached, tied)
        lines.loc[own.index, f"tied{suffix}"] = tied | reached


def ranked(found: pd.DataFrame) -> pd.DataFrame:
    """Return the estimators of each kind, the best mean rank first.

    Args:
        found: the result of `cells`.

    Returns:
        `kind`, `estimator`, `short_name`, `method`; `points`, at how many of the `all_points` it
        is compared, and of how many `problems`; `rank` with `_low` and `_high`
        (`statistics.profiles.mean_ranks`) among its kind; `within_2` and `within_10`, the shares
        of its points where it is within that factor of the best of its kind; `within_2_of_all`;
        and `worst`, its largest ratio to the best of its kind.
    """
    parts = []
    for kind in KINDS:
        own = found[(found["kind"] == kind) & found["ratio_of_kind"].notna()]
        if own.empty:
            continue
        wide = own.pivot(index=POINT, columns="estimator")
        spread = facing_error(own["error"], own["error_low"], own["error_high"], True)
        spreads = own.assign(spread=spread).pivot(index=POINT, columns="estimator")["spread"]
        tied = wide["tied_of_kind"].eq(True)
        ranks = mean_ranks(
            wide["error"].to_numpy(float),
            spreads.to_numpy(float),
            tied.to_numpy(),
            list(wide.index.get_level_values("problem")),
        )
        names = wide["error"].columns
        lines = own.groupby("estimator")[["kind", "short_name", "method"]].first().loc[names]
        groups = own.groupby("estimator")
        lines["points"] = groups.size()
        lines["problems"] = groups["problem"].nunique()
        lines["all_points"] = len(found.drop_duplicates(POINT))
        lines = lines.join(ranks.set_axis(names))
        lines["within_2"] = groups["ratio_of_kind"].agg(lambda one: (one <= 2).mean())
        lines["within_10"] = groups["ratio_of_kind"].agg(lambda one: (one <= 10).mean())
        lines["within_2_of_all"] = groups["ratio"].agg(lambda one: (one <= 2).mean())
        lines["worst"] = groups["ratio_of_kind"].max()
        parts.append(lines.reset_index().sort_values("rank", kind="stable"))
    if not parts:
        raise ValueError("no estimator has an error with an interval")
    return pd.concat(parts, ignore_index=True)
