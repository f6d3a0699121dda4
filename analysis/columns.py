"""What the readable tables show, whatever their format: columns, cells, notes below."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from analysis import formats
from analysis.rows import indistinguishable

Interval = Callable[[float, float, float], str]


class Column(NamedTuple):
    """A column of a readable table: its title, in full and short in two lines, and its field."""

    title: str
    short: tuple[str, str]
    field: str
    kind: str

    @property
    def numeric(self) -> bool:
        """Whether the column is aligned to the right."""
        return self.kind in ("number", "cosine", "duration", "count")


_NAME = Column("estimator", ("", "estimator"), "estimator", "name")
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
    """Return the columns of a comparison or a temperature table."""
    if "temperature" in table:
        return (_NAME._replace(field="family"), _TEMPERATURE, *_MEASURED)
    return (_NAME, *_MEASURED)


def cells(table: pd.DataFrame, interval: Interval) -> list[list[str]]:
    """Return the text of every cell, line by line; `interval` writes (value, low, high).

    A family that goes on from the line above is not named again.
    """
    shown = columns(table)
    marks = {note: f" ({i})" for i, note in enumerate(_notes(table), start=1)} | {"": ""}
    limits = indistinguishable(table)
    body, family = [], None
    for (_, line), limit in zip(table.iterrows(), limits, strict=True):
        texts = [_cell(line, column, interval, limit) for column in shown]
        texts[shown.index(_TEMPERATURE) if _TEMPERATURE in shown else 0] += marks[line["note"]]
        if "family" in table and line["family"] == family:
            texts[0] = ""
        family = line.get("family")
        body.append(texts)
    return body


def _cell(line: pd.Series, column: Column, interval: Interval, limit: bool) -> str:
    value = line[column.field]
    if column.kind != "interval":
        return _WRITERS[column.kind](value)
    low, high = line[f"{column.field}_low"], line[f"{column.field}_high"]
    if column.field == "squared_bias" and limit and pd.notna(high):
        return formats.upper_limit(high)
    return interval(value, low, high)


def footnotes(table: pd.DataFrame) -> list[str]:
    """Return the lines below a table: what the columns mean, and the notes of the estimators."""
    budget = table.attrs["budget"]
    of = "budget" if budget is None else f"a budget of {budget:,g} evaluations"
    scale = bool((table["unbiased"] == "up to scale").any())
    return [
        "Intervals are 95 %; 0 (< u): not distinguishable from zero with these samples, at most u. "
        "Errors are in squared units of the gradient.",
        "Evaluations of f and time are per gradient. Cosine to the true gradient: of the mean "
        "gradient, and averaged over single ones. Equal cost: squared bias + variance × "
        f"evaluations / {of}.",
        *(["scale: unbiased up to a positive factor."] * scale),
        *(f"({i}) {note}." for i, note in enumerate(_notes(table), start=1)),
    ]


def _notes(table: pd.DataFrame) -> list[str]:
    return [note for note in table["note"].unique() if note]


def _count(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.0f}" if value < 1e6 else formats.scientific(value)


_WRITERS: dict[str, Callable[..., str]] = {
    "name": str,
    "word": lambda value: str(value).removeprefix("up to "),
    "count": _count,
    "setting": lambda value: "-" if pd.isna(value) else f"{value:g}",
    "number": formats.scientific,
    "cosine": formats.cosine,
    "duration": formats.duration,
}
