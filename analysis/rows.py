"""The tidy result table: what it must hold, and its reading one estimator a line."""

from collections.abc import Iterator

import pandas as pd

CONTEXT = ("study", "problem", "objective", "group", "seed", "step")
FACTS = ("method", "unbiased", "evaluations", "samples")
METRICS = (
    "squared_bias",
    "variance",
    "mse",
    "cosine_mean",
    "cosine_sample",
    "seconds",
    "equal_cost_error",
)
_COLUMNS = (*CONTEXT, "estimator", *FACTS, "metric", "value", "low", "high", "note")


def check(rows: pd.DataFrame) -> None:
    """Raise ValueError where the table is empty or a column is missing, saying which."""
    missing = [column for column in _COLUMNS if column not in rows]
    if missing:
        raise ValueError(f"the result table lacks the column {', '.join(missing)}")
    if rows.empty:
        raise ValueError("the result table is empty")


def contexts(rows: pd.DataFrame) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Yield every (study, problem, objective, group, seed, step) of a result table with its rows.

    Tables and figures are of one such context each: two true gradients share no axis.

    Raises:
        ValueError: where the table is empty or a column is missing.
    """
    check(rows)
    for values, part in rows.groupby(list(CONTEXT), sort=False, dropna=False):
        yield dict(zip(CONTEXT, values, strict=True)), part


def by_estimator(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per estimator; columns are `<metric>`, `<metric>_low` and `<metric>_high`.

    A metric that was not measured is NaN. `attrs` holds the rest of what the rows say: `context`,
    `samples` (fewest and most), `truth_norm`, `budget` (that of the rows' `attrs`, or of their
    `attrs["configuration"]`; or None), `complete` (likewise) and `skipped` (reasons by estimator).

    Raises:
        ValueError: where the table is empty, lacks a column, holds several contexts, or one metric
            of one estimator twice.
    """
    check(rows)
    for name in CONTEXT:
        if len(found := rows[name].drop_duplicates()) > 1:
            raise ValueError(
                f"the result table holds several values of {name} ({', '.join(map(str, found))}): "
                "draw one at a time; analysis.contexts splits it"
            )
    rows = rows.assign(note=rows["note"].fillna(""))
    skips = rows[rows["metric"] == "skipped"]
    measured = rows[rows["metric"] != "skipped"]
    repeated = measured[measured.duplicated(["estimator", "metric"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise ValueError(f"the result table holds {first.metric} of {first.estimator} twice")

    hyperparameters = [c for c in rows if isinstance(c, str) and c.startswith("p_")]
    lines = measured.groupby("estimator", sort=False)[[*FACTS, *hyperparameters]].first()
    by_metric = measured.pivot(index="estimator", columns="metric", values=["value", "low", "high"])
    for metric in METRICS:
        for kind, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            known = (kind, metric) in by_metric
            lines[metric + suffix] = by_metric[kind, metric] if known else float("nan")
    notes = measured[measured["note"] != ""].groupby("estimator")["note"].unique().map("; ".join)
    lines["note"] = notes.reindex(lines.index).fillna("")
    lines = lines.reset_index()

    drawn = measured.loc[measured["method"] != "Exact", "samples"].dropna()
    norms = measured.loc[measured["metric"] == "truth_norm", "value"].dropna()
    lines.attrs = {
        "context": {name: rows[name].tolist()[0] for name in CONTEXT},
        "samples": (int(drawn.min()), int(drawn.max())) if len(drawn) else None,
        "truth_norm": float(norms.iloc[0]) if len(norms) else None,
        "budget": rows.attrs.get("configuration", rows.attrs).get("budget"),
        "complete": rows.attrs.get("complete", True),
        "skipped": dict(zip(skips["estimator"], skips["note"], strict=True)),
    }
    return lines


def by_reason(lines: pd.DataFrame) -> dict[str, list[str]]:
    """Return the skipped estimators of a table by the reason they share."""
    reasons: dict[str, list[str]] = {}
    for name, reason in lines.attrs["skipped"].items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def heading(lines: pd.DataFrame) -> str:
    """Return what a table or figure is of: problem, objective, group, samples and true norm."""
    about = lines.attrs["context"]
    parts = [about["problem"], about["objective"], f"gradient with respect to {about['group']}"]
    parts += [f"{name} {about[name]}" for name in ("seed", "step") if about[name]]
    if lines.attrs["samples"]:
        fewest, most = lines.attrs["samples"]
        parts.append(f"{fewest:,} samples" if fewest == most else f"{fewest:,} to {most:,} samples")
    if lines.attrs["truth_norm"] is not None:
        parts.append(f"norm of the true gradient {lines.attrs['truth_norm']:.3g}")
    if not lines.attrs["complete"]:
        parts.append("run not complete")
    return ", ".join(str(part) for part in parts if pd.notna(part) and part != "")


def indistinguishable(lines: pd.DataFrame) -> pd.Series:
    """Return where the squared bias is not distinguishable from zero at the samples drawn."""
    return (lines["squared_bias_low"] <= 0) | (lines["squared_bias"] <= 0)
