"""The tidy result table: its columns, and its rearrangement to one line per estimator."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

CONTEXT = ("study", "problem", "objective", "group", "seed", "step")
TRAINING_CONTEXT = ("study", "problem", "objective", "data")
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
COLUMNS = (*CONTEXT, "estimator", *FACTS, "metric", "value", "low", "high", "note")

_TEXTS = frozenset(
    "study problem objective group data estimator method unbiased metric note split measured "
    "optimiser paper_link table budget stage cell block label units source spread other variant "
    "deciding title claim figure task panel picture".split()
)
_COUNTS = frozenset("seed step steps evaluations samples bound_samples".split())
_NUMBERS = _COUNTS | frozenset(
    "value low high learning_rate scale region_low region_high effect confidence power error "
    "degrees p_temperature x y probability logit p0 number inner".split()
)
# Required in every row: pandas silently drops groups without a name.
_NAMES = frozenset("estimator table budget stage deciding title claim".split())
_MOST_EXACT = 2**53  # of whole numbers in a float


def check(rows: pd.DataFrame, columns: Sequence[str] = COLUMNS) -> None:
    """Check that a table has the columns and types that the other functions expect.

    Raises:
        ValueError: if it is empty, lacks a column, or a column has the wrong type; the message
            names it.
    """
    missing = [column for column in columns if column not in rows]
    if missing:
        raise ValueError(f"the result table lacks the column {', '.join(missing)}")
    if rows.empty:
        raise ValueError("the result table is empty")
    for name in rows:
        _check_kind(str(name), rows[name])
    for name in _NAMES & set(columns):
        if rows[name].isna().any():
            raise ValueError(f"the result table lacks {name} in some rows")


def _check_kind(name: str, values: pd.Series) -> None:
    kind = infer_dtype(values, skipna=True)
    if kind == "empty":
        return
    if name in _TEXTS and kind != "string":
        raise ValueError(f"the result table's column {name} holds {kind}, not text")
    if name in _NUMBERS and kind not in ("integer", "floating", "mixed-integer-float"):
        raise ValueError(f"the result table's column {name} holds {kind}, not numbers")
    if name in _COUNTS:
        counts = values.dropna().to_numpy(float)
        if not ((counts == np.floor(counts)) & (np.abs(counts) <= _MOST_EXACT)).all():
            raise ValueError(f"the result table's column {name} holds what is no count")


def chosen(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the given columns of a table, with a new index.

    Raises:
        ValueError: if the table is empty or a column is missing.
    """
    check(rows, columns)
    return rows[list(columns)].reset_index(drop=True)


def contexts(rows: pd.DataFrame) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Yield every (study, problem, objective, group, seed, step) of a result table with its rows.

    A table or figure shows one such context, since values at different true gradients cannot be
    compared. The context of training runs is (study, problem, objective, data).

    Raises:
        ValueError: if the table is empty or a column is missing.
    """
    training = "learning_rate" in rows
    names = TRAINING_CONTEXT if training else CONTEXT
    check(rows, names if training else COLUMNS)
    for values, part in rows.groupby(list(names), sort=False, dropna=False):
        yield dict(zip(names, values, strict=True)), part


def only_context(rows: pd.DataFrame, names: Sequence[str] = CONTEXT) -> dict:
    """Return the context of a result table; raise ValueError if it holds several."""
    for name in names:
        if len(found := rows[name].drop_duplicates()) > 1:
            raise ValueError(
                f"the result table holds several values of {name} ({', '.join(map(str, found))}): "
                "draw one at a time; analysis.contexts splits it"
            )
    return {name: rows[name].tolist()[0] for name in names}


def without_skipped(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows without skipped estimators, and the reasons of those, by estimator."""
    skips = rows["metric"] == "skipped"
    reasons = dict(zip(rows.loc[skips, "estimator"], rows.loc[skips, "note"], strict=True))
    return rows[~skips], reasons


def links(rows: pd.DataFrame) -> list[str]:
    """Return the columns with links to papers; tables of users may have none."""
    return [name for name in ("paper_link",) if name in rows]


def notes(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """Return the distinct notes of every line, joined; lines without notes are left out."""
    noted = rows[rows["note"] != ""]
    # A metric may have its own note besides that of its line.
    return noted.groupby(list(by), dropna=False)["note"].agg(
        lambda found: "; ".join(dict.fromkeys("; ".join(found).split("; ")))
    )


def reasons(rows: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Return what rows of these metrics say of each estimator, in brackets; nothing without notes.

    It tells why a figure has nothing to show.
    """
    said = rows.loc[rows["metric"].isin(metrics), ["estimator", "note"]].fillna("")
    said = said[said["note"] != ""].drop_duplicates("estimator")
    if not len(said):
        return ""
    shown = [f"{one.estimator}: {one.note}" for one in said.head(3).itertuples()]
    more = f" and {len(said) - 3} more" if len(said) > 3 else ""
    return f" ({', '.join(shown)}{more})"


def by_estimator(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per estimator; columns are `<metric>`, `<metric>_low` and `<metric>_high`.

    A metric that was not measured is NaN. `attrs` holds everything else: `context`,
    `samples` (fewest and most), `truth_norm`, `budget` (that of the rows' `attrs`, or of their
    `attrs["configuration"]`; or None), `complete` (likewise) and `skipped` (reasons by estimator).

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, or has a metric
            of an estimator twice.
    """
    check(rows)
    context = only_context(rows)
    rows = rows.assign(note=rows["note"].fillna(""))
    measured, reasons = without_skipped(rows)
    repeated = measured[measured.duplicated(["estimator", "metric"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise ValueError(f"the result table holds {first.metric} of {first.estimator} twice")

    hyperparameters = [c for c in rows if isinstance(c, str) and c.startswith("p_")]
    about = [*FACTS, *links(rows), *hyperparameters]
    lines = measured.groupby("estimator", sort=False)[about].first()
    by_metric = measured.pivot(index="estimator", columns="metric", values=["value", "low", "high"])
    for metric in METRICS:
        for kind, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            known = (kind, metric) in by_metric
            lines[metric + suffix] = by_metric[kind, metric] if known else float("nan")
    lines["note"] = notes(measured, ["estimator"]).reindex(lines.index).fillna("")
    lines = lines.reset_index()

    drawn = measured.loc[measured["method"] != "Exact", "samples"].dropna()
    norms = measured.loc[measured["metric"] == "truth_norm", "value"].dropna()
    lines.attrs = {
        "context": context,
        "samples": (int(drawn.min()), int(drawn.max())) if len(drawn) else None,
        "truth_norm": float(norms.iloc[0]) if len(norms) else None,
        "budget": rows.attrs.get("configuration", rows.attrs).get("budget"),
        "complete": rows.attrs.get("complete", True),
        "skipped": reasons,
    }
    return lines


def by_reason(lines: pd.DataFrame) -> dict[str, list[str]]:
    """Return the skipped estimators of a table, grouped by reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in lines.attrs["skipped"].items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def heading(lines: pd.DataFrame) -> str:
    """Return the heading of a table or figure: problem, objective, samples, steps, seeds."""
    about = lines.attrs["context"]
    parts = [about["problem"], about["objective"], about.get("data")]
    if "group" in about:
        parts.append(f"gradient with respect to {about['group']}")
    parts += [f"{name} {about[name]}" for name in ("seed", "step") if about.get(name)]
    parts.append(lines.attrs.get("optimiser"))
    for name in ("samples", "steps", "seeds"):
        if lines.attrs.get(name):
            fewest, most = lines.attrs[name]
            parts.append(_count(fewest, most, name))
    if lines.attrs.get("truth_norm") is not None:
        parts.append(f"norm of the true gradient {lines.attrs['truth_norm']:.3g}")
    if not lines.attrs["complete"]:
        parts.append("run not complete")
    return ", ".join(str(part) for part in parts if pd.notna(part) and part != "")


def _count(fewest: int, most: int, name: str) -> str:
    if fewest < most:
        return f"{fewest:,} to {most:,} {name}"
    return f"{most:,} {name.removesuffix('s') if most == 1 else name}"


def indistinguishable(lines: pd.DataFrame) -> pd.Series:
    """Return whether each squared bias is not distinguishable from zero."""
    return (lines["squared_bias_low"] <= 0) | (lines["squared_bias"] <= 0)
