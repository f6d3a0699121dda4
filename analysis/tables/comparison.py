"""The table of estimators measured at one point."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from analysis import formats
from analysis.columns import COUNT, DURATION, INTERVAL, NAME, Column, Form, Kind, estimate, number
from analysis.kept_atlas import sentence
from analysis.names import short_names
from analysis.pooling import pooled
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
from analysis.statistics.ties import may_be_least, replicates
from analysis.tables.conclusion import conclusion, with_warnings

_METRICS = (
    "squared_bias",
    "variance",
    "mse",
    "cosine_mean",
    "cosine_sample",
    "seconds",
    "equal_cost_error",
    "signal_to_noise",
)

Cost = Literal["evaluations", "time"]
"""What costs are counted in: evaluations of f, or measured seconds."""


def indistinguishable(lines: pd.DataFrame) -> pd.Series:
    """Return whether each squared bias is indistinguishable from zero."""
    return (lines["squared_bias_low"] <= 0) | (lines["squared_bias"] <= 0)


def _squared_bias(line: pd.Series, field: str, form: Form) -> str:
    value, low, high = estimate(line, field)
    if (low <= 0 or value <= 0) and pd.notna(high):
        return form.limit(high)
    return form.interval(value, low, high)


_UNBIASED = Kind(lambda line, field, _: str(line[field]).removeprefix("up to "), "word")
_COSINES = "Cosine to the true gradient: of the mean gradient, and the mean over single gradients."
ESTIMATOR = Column("estimator", ("", "estimator"), "short_name", NAME)
_EQUAL_COST = Column(
    "error at equal cost", ("error at", "equal cost"), "equal_cost_error", INTERVAL
)
_EQUAL_TIME = Column(
    "error at equal time", ("error at", "equal time"), "equal_time_error", INTERVAL
)
_MEASURED = (
    Column("squared bias", ("squared", "bias"), "squared_bias", Kind(_squared_bias, "interval")),
    Column("variance", ("", "variance"), "variance", INTERVAL),
    Column("unbiased", ("un-", "biased"), "unbiased", _UNBIASED),
    Column(
        "evaluations",
        ("", "evals"),
        "evaluations",
        COUNT,
        "Evaluations of f and time (on one device) are per gradient.",
    ),
    Column("mean squared error", ("mean squared", "error"), "mse", INTERVAL),
    Column(
        "time",
        ("", "time"),
        "seconds",
        DURATION,
        "Evaluations of f and time (on one device) are per gradient.",
    ),
    Column(
        "cosine of mean", ("cos", "mean"), "cosine_mean", number(formats.cosine), _COSINES, True
    ),
    Column(
        "cosine per sample",
        ("cos", "each"),
        "cosine_sample",
        number(formats.cosine),
        _COSINES,
        True,
    ),
)
_SIGNAL = Column(
    "signal-to-noise ratio",
    ("signal", "to noise"),
    "signal_to_noise",
    INTERVAL,
    "Signal to noise: the norm of the mean gradient over the root of the variance.",
    True,
)


def comparison_table(rows: pd.DataFrame, cost: Cost = "evaluations") -> ReadableTable:
    """Return the estimators of a comparison, sorted by error at equal cost.

    Args:
        rows: a tidy result table of one context (`analysis.contexts` splits several); values at
            several seeds are averaged, with intervals of Student's t over the seeds.
        cost: what costs are counted in, "evaluations" of f or the measured "time".

    Returns:
        One line per estimator that was measured: `estimator`, `short_name`, `method`, `unbiased`,
        `evaluations` (of f per gradient), `samples`, the hyperparameters, and per metric its value,
        `_low` and `_high` (95 % interval): `squared_bias`, `variance`, `mse`, `equal_cost_error`
        and `equal_time_error` in squared units of the gradient, `cosine_mean`, `cosine_sample`,
        `signal_to_noise`, `seconds` per gradient; then `note`. A metric that was not measured is
        NaN.

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, or repeats a
            metric of an estimator.
    """
    table = measurements(rows, cost)
    table = table.sorted(table.columns[1].field)
    if table.context["study"] != "compare":  # `diagnose` says it of what it recommends
        return table
    return dataclasses.replace(table, findings=[*table.findings, *_beside_atlas(table)])


def _beside_atlas(table: ReadableTable) -> list[str]:
    """Return how the estimator with the least error stands in the kept atlas, if it does."""
    errors = table.frame[table.columns[1].field]
    noisy = table.frame[(errors > 0) & np.isfinite(errors)]
    for line in noisy.head(1).itertuples():
        said = sentence(str(line.estimator), str(line.short_name))
        return [said] if said else []
    return []


def measurements(rows: pd.DataFrame, cost: Cost = "evaluations") -> ReadableTable:
    """Return the table of `comparison_table`, in the order of the rows."""
    check(rows)
    context = only_context(rows)
    complete, budget = is_complete(rows), configuration(rows).get("budget")
    rows = rows.assign(note=rows["note"].fillna(""))
    rows.attrs = {}  # pandas copies it, deeply, at every step
    measured, _ = without_skipped(rows)
    repeated = measured[measured.duplicated(["estimator", "seed", "metric"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise ValueError(f"the result table holds {first.metric} of {first.estimator} twice")
    seeds = rows["seed"].drop_duplicates().tolist()
    context |= {"seed": seeds[0]} if len(seeds) == 1 else {"seeds": len(seeds)}
    rows = pooled(rows)
    measured, skipped = without_skipped(rows)

    hyperparameters = [c for c in rows if isinstance(c, str) and c.startswith("p_")]
    about = [*FACTS, *links(rows), *hyperparameters]
    lines = measured.groupby("estimator", sort=False)[about].first()
    by_metric = measured.pivot(index="estimator", columns="metric", values=["value", "low", "high"])
    for metric in _METRICS:
        for kind, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            known = (kind, metric) in by_metric
            lines[metric + suffix] = by_metric[kind, metric] if known else float("nan")
    lines["note"] = notes(measured, ["estimator"]).reindex(lines.index).fillna("")
    p_values = measured[measured["metric"] == "unbiased_p_value"].set_index("estimator")["value"]
    lines["unbiased_p_value"] = p_values.reindex(lines.index).astype(float)
    lines = lines.reset_index()
    short = short_names(rows)
    lines.insert(1, "short_name", lines["estimator"].map(short))
    allowed = _add_equal_time(lines, budget)
    _add_ties(
        lines,
        measured,
        {
            "equal_cost_error": lines["evaluations"] / (budget or np.nan),
            "equal_time_error": lines["seconds"] / allowed,
        },
    )
    # The notes stay the last column.
    lines["note"] = with_warnings(lines, lines.pop("note"))

    drawn = measured.loc[measured["method"] != "Exact", "samples"].dropna()
    norms = measured.loc[measured["metric"] == "truth_norm", "value"].dropna()
    truth_norm = float(norms.iloc[0]) if len(norms) else None
    of = "budget" if budget is None else f"a budget of {budget:,g} evaluations"
    errors = [
        _EQUAL_COST._replace(about=f"Equal cost: squared bias + variance × evaluations / {of}."),
        _EQUAL_TIME._replace(
            about="Equal time: squared bias + variance × time / "
            f"{formats.duration(allowed)}, in which the fastest draws {budget or 1:,g} gradients."
        ),
    ]
    if cost == "time":
        errors.reverse()
    scale = bool((lines["unbiased"] == "up to scale").any())
    return ReadableTable(
        frame=lines,
        columns=(ESTIMATOR, errors[0], *_MEASURED),
        more_columns=(_SIGNAL, errors[1]),
        heading=heading(
            context,
            complete=complete,
            samples=(int(drawn.min()), int(drawn.max())) if len(drawn) else None,
            seeds=(len(seeds), len(seeds)) if len(seeds) > 1 else None,
            truth_norm=truth_norm,
        ),
        notes=[
            "Intervals are 95 %; a note explains a missing one. Errors are in squared units of the "
            "gradient.",
            *(["Means over the seeds, with Student's t over them."] * (len(seeds) > 1)),
            *(["scale: unbiased up to a positive factor."] * scale),
        ],
        findings=conclusion(lines, errors[0].field, truth_norm),
        skipped={short[name]: reason for name, reason in skipped.items()},
        context=context,
        settings={"truth_norm": truth_norm, "budget": budget},
    )


def _add_ties(lines: pd.DataFrame, measured: pd.DataFrame, shares: Mapping[str, pd.Series]) -> None:
    """Add the flags of errors that are not distinguishable from the least of the noisy ones.

    Args:
        lines: the lines.
        measured: the rows of measured estimators.
        shares: by error: the part of the variance that is added to the squared bias, of each line.
    """
    known = [
        replicates(own["replicates"].reindex(lines["estimator"])).reset_index(drop=True)
        for metric in ("squared_bias", "variance")
        for own in [measured[measured["metric"] == metric].set_index("estimator")]
        if "replicates" in own
    ]
    for error, share in shares.items():
        lines[f"{error}_tied"] = False
        if len(known) == 2:
            bias, spread = known
            compared = lines[error].where(lines[error] > 0).where(lines[f"{error}_high"].notna())
            lines[f"{error}_tied"] = may_be_least(compared, bias + spread.mul(share, axis=0))


def _add_equal_time(lines: pd.DataFrame, budget: float | None) -> float:
    """Add the error at equal time, and return that time in seconds; NaN if none was measured.

    It is the time in which the fastest estimator draws `budget` gradients.
    """
    seconds = lines["seconds"].where(lines["seconds"] > 0)
    allowed = float(seconds.min()) * (budget or 1)
    for suffix in ("", "_low", "_high"):
        time = lines[f"seconds{suffix}"].fillna(seconds)
        bias = lines[f"squared_bias{suffix}"].clip(lower=0)
        lines[f"equal_time_error{suffix}"] = bias + lines[f"variance{suffix}"] * time / allowed
    return allowed
