"""The table of estimators measured at one point."""

import dataclasses

import pandas as pd

from analysis import formats
from analysis.columns import COUNT, INTERVAL, NAME, NUMBER, Column, Interval, Kind, number
from analysis.readable import ReadableTable
from analysis.rows import (
    FACTS,
    check,
    configuration,
    heading,
    is_complete,
    links,
    notes,
    only_context,
    without_skipped,
)

_METRICS = (
    "squared_bias",
    "variance",
    "mse",
    "cosine_mean",
    "cosine_sample",
    "seconds",
    "equal_cost_error",
)


def indistinguishable(lines: pd.DataFrame) -> pd.Series:
    """Return whether each squared bias is indistinguishable from zero."""
    return (lines["squared_bias_low"] <= 0) | (lines["squared_bias"] <= 0)


def _squared_bias(line: pd.Series, field: str, interval: Interval) -> str:
    low, high = line[f"{field}_low"], line[f"{field}_high"]
    if (low <= 0 or line[field] <= 0) and pd.notna(high):
        return formats.upper_limit(high)
    return INTERVAL.write(line, field, interval)


_UNBIASED = Kind(lambda line, field, _: str(line[field]).removeprefix("up to "), "word")
_ESTIMATOR = Column("estimator", ("", "estimator"), "estimator", NAME)
MEASURED = (
    Column("unbiased", ("un-", "biased"), "unbiased", _UNBIASED),
    Column("evaluations", ("", "evals"), "evaluations", COUNT),
    Column("squared bias", ("squared", "bias"), "squared_bias", Kind(_squared_bias, "interval")),
    Column("variance", ("", "variance"), "variance", INTERVAL),
    Column("mean squared error", ("mean squared", "error"), "mse", INTERVAL),
    Column("cosine of mean", ("cos", "mean"), "cosine_mean", number(formats.cosine)),
    Column("cosine per sample", ("cos", "each"), "cosine_sample", number(formats.cosine)),
    Column("time", ("", "time"), "seconds", number(formats.duration)),
    Column("error at equal cost", ("equal-", "cost"), "equal_cost_error", NUMBER),
)


def comparison_table(rows: pd.DataFrame) -> ReadableTable:
    """Return the estimators of a comparison, sorted by mean squared error.

    Args:
        rows: a tidy result table of one context (`analysis.contexts` splits several).

    Returns:
        One line per estimator that was measured: `estimator`, `method`, `unbiased`, `evaluations`
        (of f per gradient), `samples`, the hyperparameters, and each metric with `_low` and `_high`
        (95 % interval): `squared_bias`, `variance`, `mse` and `equal_cost_error` in squared units
        of the gradient, `cosine_mean`, `cosine_sample`, `seconds` per gradient; and `note`. A
        metric that was not measured is NaN.

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, or repeats a
            metric of an estimator.
    """
    table = measurements(rows)
    # Stable, to keep the order of rows without errors.
    frame = table.frame.sort_values("mse", kind="stable", ignore_index=True)
    return dataclasses.replace(table, frame=frame)


def measurements(rows: pd.DataFrame) -> ReadableTable:
    """Return the table of `comparison_table`, in the order of the rows."""
    check(rows)
    context = only_context(rows)
    rows = rows.assign(note=rows["note"].fillna(""))
    measured, skipped = without_skipped(rows)
    repeated = measured[measured.duplicated(["estimator", "metric"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise ValueError(f"the result table holds {first.metric} of {first.estimator} twice")

    hyperparameters = [c for c in rows if isinstance(c, str) and c.startswith("p_")]
    about = [*FACTS, *links(rows), *hyperparameters]
    lines = measured.groupby("estimator", sort=False)[about].first()
    by_metric = measured.pivot(index="estimator", columns="metric", values=["value", "low", "high"])
    for metric in _METRICS:
        for kind, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            known = (kind, metric) in by_metric
            lines[metric + suffix] = by_metric[kind, metric] if known else float("nan")
    lines["note"] = notes(measured, ["estimator"]).reindex(lines.index).fillna("")
    lines = lines.reset_index()

    drawn = measured.loc[measured["method"] != "Exact", "samples"].dropna()
    norms = measured.loc[measured["metric"] == "truth_norm", "value"].dropna()
    truth_norm = float(norms.iloc[0]) if len(norms) else None
    budget = configuration(rows).get("budget")
    return ReadableTable(
        frame=lines,
        columns=(_ESTIMATOR, *MEASURED),
        heading=heading(
            context,
            complete=is_complete(rows),
            samples=(int(drawn.min()), int(drawn.max())) if len(drawn) else None,
            truth_norm=truth_norm,
        ),
        notes=_footnotes(lines, budget),
        skipped=skipped,
        context=context,
        settings={"truth_norm": truth_norm, "budget": budget},
    )


def _footnotes(lines: pd.DataFrame, budget: float | None) -> list[str]:
    of = "budget" if budget is None else f"a budget of {budget:,g} evaluations"
    scale = bool((lines["unbiased"] == "up to scale").any())
    return [
        "Intervals are 95 %; a note explains a missing one. 0 (< u): not distinguishable from zero "
        "with these samples, with upper limit u. Errors are in squared units of the gradient.",
        "Evaluations of f and time (on one device) are per gradient. Cosine to the true gradient: "
        "of the mean gradient, and the mean over single gradients. Equal cost: squared bias + "
        f"variance × evaluations / {of}.",
        *(["scale: unbiased up to a positive factor."] * scale),
    ]
