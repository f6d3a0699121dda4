"""Columns, cells and footnotes of the readable tables, in any format."""

from typing import Any

import pandas as pd

from analysis import claims_columns, reproduction_columns, rows, training_columns
from analysis.column import Column, Interval, cell
from analysis.rows import indistinguishable
from analysis.text import printable

_NAME = Column("estimator", ("", "estimator"), "estimator", "name")
# Columns whose value is printed once for consecutive lines that share it.
_SHARED = ("family", "block")
_KINDS: dict[str, Any] = {
    "training": training_columns,
    "reproduction": reproduction_columns,
    "claims": claims_columns,
}
_HEADED = (reproduction_columns, claims_columns)
_TEMPERATURE = Column("temperature", ("temper-", "ature"), "temperature", "setting")
_MEASURED = (
    Column("unbiased", ("un-", "biased"), "unbiased", "word"),
    Column("evaluations", ("", "evals"), "evaluations", "count"),
    Column("squared bias", ("squared", "bias"), "squared_bias", "interval"),
    Column("variance", ("", "variance"), "variance", "interval"),
    Column("mean squared error", ("mean squared", "error"), "mse", "interval"),
    Column("cosine of mean", ("cos", "mean"), "cosine_mean", "cosine"),
    Column("cosine per sample", ("cos", "each"), "cosine_sample", "cosine"),
    Column("time", ("", "time"), "seconds", "duration"),
    Column("error at equal cost", ("equal-", "cost"), "equal_cost_error", "number"),
)


def columns(table: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns of a table of any kind."""
    if own := _own(table):
        return tuple(own.columns(table))
    if "temperature" in table:
        return (_NAME._replace(field="family"), _TEMPERATURE, *_MEASURED)
    return (_NAME, *_MEASURED)


def cells(table: pd.DataFrame, interval: Interval) -> list[list[str]]:
    """Return the text of every cell, line by line; `interval` writes (value, low, high).

    The name of a family, or of a part of a table, is not repeated on consecutive lines.
    """
    shown = columns(table)
    named, marks = note_marks(table)
    limits = [False] * len(table) if _own(table) else indistinguishable(table)
    shared = next((name for name in _SHARED if name in table), None)
    body, above = [], None
    for (_, line), limit in zip(table.iterrows(), limits, strict=True):
        texts = [cell(line, column, interval, limit) for column in shown]
        texts[named] += marks[line["note"]]
        if shared and line[shared] == above:
            texts[0] = ""
        above = shared and line[shared]
        body.append(texts)
    return body


def note_marks(table: pd.DataFrame) -> tuple[int, dict[str, str]]:
    """Return the index of the column that shows note marks, and the mark of every note."""
    # If the first column is shared by several lines, the second one identifies a line.
    named = int(any(name in table for name in _SHARED))
    return named, {note: f" ({i})" for i, note in enumerate(_notes(table), start=1)} | {"": ""}


def footnotes(table: pd.DataFrame) -> list[str]:
    """Return the footnotes of a table: the columns explained, and notes on estimators."""
    return [printable(line) for line in _footnotes(table)]


def _footnotes(table: pd.DataFrame) -> list[str]:
    numbered = [f"({i}) {note}." for i, note in enumerate(_notes(table), start=1)]
    if own := _own(table):
        return own.footnotes(table) + numbered
    budget = table.attrs["budget"]
    of = "budget" if budget is None else f"a budget of {budget:,g} evaluations"
    scale = bool((table["unbiased"] == "up to scale").any())
    return [
        "Intervals are 95 %; where there is none, a note says why. 0 (< u): not distinguishable "
        "from zero with these samples, at most u. Errors are in squared units of the gradient.",
        "Evaluations of f and time, on one device, are per gradient. Cosine to the true gradient: "
        "of the mean gradient, and averaged over single ones. Equal cost: squared bias + "
        f"variance × evaluations / {of}.",
        *(["scale: unbiased up to a positive factor."] * scale),
        *numbered,
    ]


def _notes(table: pd.DataFrame) -> list[str]:
    return [note for note in table["note"].unique() if note]


def heading(table: pd.DataFrame) -> str:
    """Return the heading of a table."""
    own = _own(table)
    return printable(own.heading(table) if own in _HEADED else rows.heading(table))


def sections(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the sections printed below a table, by title."""
    own = _own(table)
    found = own.sections(table) if own in _HEADED else {}
    return {printable(title): [*map(printable, lines)] for title, lines in found.items()}


def skipped(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the skipped estimators of a table, grouped by reason."""
    found = rows.by_reason(table)
    return {printable(why): [*map(printable, names)] for why, names in found.items()}


def _own(table: pd.DataFrame) -> Any:
    """Return the module for a kind of table other than measurements at one point."""
    return _KINDS.get(table.attrs.get("kind", ""))
