"""The tidy result table: its columns, contexts, notes and metadata."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from analysis import coordinates, schema

CONTEXT = ("study", "problem", "objective", "group", "step")
TRAINING_CONTEXT = ("study", "problem", "objective", "data")
FACTS = ("method", "unbiased", "evaluations", "samples")
COLUMNS = (*CONTEXT, "seed", "estimator", *FACTS, "metric", "value", "low", "high", "note")

PLACE = {
    "problem": "{}",
    "objective": "{}",
    "data": "{}",
    "group": "group {}",
    "trained_with": "trained with {}",
    "step": "step {}",
}
"""What may differ between the contexts of one table, and how it is said."""

_TEXTS = schema.names("text")
_COUNTS = schema.names("count")
_NUMBERS = schema.names("count", "number") | {"p_temperature"}
_LISTS = schema.names("numbers")
# Required in every row, since pandas silently drops groups without a name.
_NAMES = frozenset("estimator table budget stage deciding title claim".split())
_MOST_EXACT = 2**53  # whole numbers in a float column
_NEEDED = re.compile(r"at least ([\d,]+) samples needed")  # of a note on too few events


def check(rows: pd.DataFrame, columns: Sequence[str] = COLUMNS) -> None:
    """Check that a table has the columns and types expected by the other functions.

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
    if not _LISTS.isdisjoint(rows):
        coordinates.check(rows)
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
            raise ValueError(f"the result table's column {name} has values that are not counts")


def chosen(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the given columns of a table, with a new index.

    Raises:
        ValueError: if the table is empty or a column is missing.
    """
    check(rows, columns)
    return rows[list(columns)].reset_index(drop=True)


def contexts(rows: pd.DataFrame) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Yield every (study, problem, objective, group, step) of a result table with its rows.

    Estimators are compared in one context, since values at different true gradients are not
    comparable; seeds are averaged. The context of a measurement with `--at` has also the training
    run, `trained_with`; that of training runs is (study, problem, objective, data).

    Raises:
        ValueError: if the table is empty or a column is missing.
    """
    training = "learning_rate" in rows
    check(rows, TRAINING_CONTEXT if training else COLUMNS)
    names = TRAINING_CONTEXT if training else _context(rows)
    for values, part in rows.groupby(list(names), sort=False, dropna=False):
        part.attrs = rows.attrs
        yield dict(zip(names, values, strict=True)), part


def places(rows: pd.DataFrame, without: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """Return the rows of each context of a result table, by what tells it from others.

    A table with one context is returned as it is, as "".

    Args:
        rows: the table.
        without: columns of the context that do not divide the rows.

    Raises:
        ValueError: if the table is empty or a column is missing.
    """
    names = [name for name in differing(rows) if name not in without]
    parts: dict[str, list[pd.DataFrame]] = {}
    for context, part in contexts(rows) if names else ():
        texts = [PLACE[name].format(context[name]) for name in names if context[name] != ""]
        parts.setdefault(", ".join(texts), []).append(part)
    if len(parts) < 2:
        return {"": rows}
    found = {place: pd.concat(some) for place, some in parts.items()}
    for part in found.values():
        part.attrs = rows.attrs
    return found


def differing(rows: pd.DataFrame) -> list[str]:
    """Return the columns that tell the contexts of a result table apart.

    They are the problem, if there are several, and what differs at one of them: parameters and
    steps that differ between problems alone are those of the problem.
    """
    if "problem" not in rows:
        return []
    names = TRAINING_CONTEXT if "learning_rate" in rows else _context(rows)
    known = rows[[name for name in PLACE if name in names and name in rows]].drop_duplicates()
    several = known.groupby("problem", dropna=False).nunique(dropna=False).gt(1).any()
    first = ["problem"] if known["problem"].nunique(dropna=False) > 1 else []
    return [*first, *several.index[several]]


def _context(rows: pd.DataFrame) -> tuple[str, ...]:
    return (*CONTEXT, *(["trained_with"] if "trained_with" in rows else []))


def only_context(rows: pd.DataFrame, names: Sequence[str] | None = None) -> dict:
    """Return the context of a result table; raise ValueError if it holds several.

    Args:
        rows: the table.
        names: the columns of the context; by default those of a measurement.
    """
    names = _context(rows) if names is None else names
    for name in names:
        if len(found := rows[name].drop_duplicates()) > 1:
            raise ValueError(
                f"the result table has several values of {name} ({', '.join(map(str, found))}): "
                "split it with analysis.contexts"
            )
    return {name: rows[name].tolist()[0] for name in names}


def shared(rows: pd.DataFrame) -> dict[str, str]:
    """Return the problem, and the parameters or the data, where all rows have the same."""
    names = ("problem", "data" if "learning_rate" in rows else "group")
    return {name: rows[name].iloc[0] for name in names if rows[name].nunique(dropna=False) == 1}


def without_skipped(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows of estimators that were not skipped, and reasons for the others by name."""
    skips = rows["metric"] == "skipped"
    reasons = dict(zip(rows.loc[skips, "estimator"], rows.loc[skips, "note"], strict=True))
    return rows[~skips], reasons


def families(rows: pd.DataFrame) -> dict[str, str]:
    """Return the family of each method in a result table; tables of old versions have none."""
    found: dict[str, str] = {}
    if "method_family" in rows:
        found |= dict(zip(rows["method"], rows["method_family"].fillna(""), strict=True))
    if "measured_family" in rows:
        methods = rows["measured"].fillna("").str.partition("[")[0]
        found |= dict(zip(methods, rows["measured_family"].fillna(""), strict=True))
    return found


def links(rows: pd.DataFrame) -> list[str]:
    """Return the columns with links to papers, if any."""
    return [name for name in ("paper_link",) if name in rows]


def notes(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """Return the distinct notes of every line, joined; lines without notes are omitted."""
    noted = rows[rows["note"] != ""]
    # A metric may have a note in addition to that of its line.
    return noted.groupby(list(by), dropna=False)["note"].agg(joined_notes)


def joined_notes(found: Iterable[str]) -> str:
    """Return distinct notes, joined; of those that differ in the samples needed, the greatest."""
    kept: dict[str, tuple[int, str]] = {}
    for note in "; ".join(filter(None, found)).split("; "):
        number = _NEEDED.search(note)
        needed = int(number[1].replace(",", "")) if number else 0
        rest = _NEEDED.sub("", note)
        kept[rest] = max(kept.get(rest, (0, note)), (needed, note))
    return "; ".join(note for _, note in kept.values())


def bracketed_notes(rows: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Return the notes on these metrics by estimator, in brackets; "" if there are none.

    Used to explain an empty figure.
    """
    said = rows.loc[rows["metric"].isin(metrics), ["estimator", "note"]].fillna("")
    said = said[said["note"] != ""].drop_duplicates("estimator")
    if not len(said):
        return ""
    shown = [f"{one.estimator}: {one.note}" for one in said.head(3).itertuples()]
    more = f" and {len(said) - 3} more" if len(said) > 3 else ""
    return f" ({', '.join(shown)}{more})"


def configuration(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the configuration in a results file's metadata, or {} if there is none."""
    return rows.attrs.get("configuration", {})


def is_complete(rows: pd.DataFrame) -> bool:
    """Return whether a results file's metadata mark its run as complete."""
    return rows.attrs.get("complete", True)


def heading(
    context: Mapping[str, object],
    *,
    complete: bool,
    optimiser: str | None = None,
    samples: tuple[int, int] | None = None,
    steps: tuple[int, int] | None = None,
    seeds: tuple[int, int] | None = None,
    compared_at: str = "",
    truth_norm: float | None = None,
) -> str:
    """Return the heading of a table or figure.

    Args:
        context: from `only_context`.
        complete: whether the run is complete.
        optimiser: optimiser of training runs.
        samples: the smallest and largest number of gradients of an estimator.
        steps: the smallest and largest number of training steps.
        seeds: the smallest and largest number of seeds.
        compared_at: the budget at which training runs are compared.
        truth_norm: norm of the true gradient.
    """
    parts = [context.get("problem", ""), context.get("objective", ""), context.get("data")]
    if "group" in context:
        parts.append(f"gradient with respect to {context['group']}")
    if context.get("trained_with"):
        parts.append(f"trained with {context['trained_with']}")
    parts += [f"{name} {context[name]}" for name in ("seed", "step") if context.get(name)]
    parts.append(optimiser)
    for name, range_ in (("samples", samples), ("steps", steps), ("seeds", seeds)):
        if range_:
            parts.append(_count(*range_, name))
    if compared_at:
        parts.append(f"compared at {compared_at}")
    if truth_norm is not None:
        parts.append(f"norm of the true gradient {truth_norm:.3g}")
    if not complete:
        parts.append("run not complete")
    return ", ".join(str(part) for part in parts if pd.notna(part) and part != "")


def title(rows: pd.DataFrame, context: Mapping[str, object]) -> str:
    """Return a figure's short title: the problem, and the data or the parameters.

    Args:
        rows: the tidy table.
        context: from `only_context` or `shared`.
    """
    kept = {name: context.get(name) for name in ("problem", "data", "group") if name in context}
    incomplete = "" if is_complete(rows) else "run not complete: "
    return incomplete + heading(kept, complete=True)


def _count(fewest: int, most: int, name: str) -> str:
    if fewest < most:
        return f"{fewest:,} to {most:,} {name}"
    return f"{most:,} {name.removesuffix('s') if most == 1 else name}"


def predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a figure's predictions."""
    return rows[rows["metric"] == "prediction"] if "metric" in rows else rows[:0]


def without_predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a figure shows."""
    return rows.drop(predictions(rows).index)
