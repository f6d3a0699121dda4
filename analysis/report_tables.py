"""The tables of a page of results."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.columns import BRACKETED, Column
from analysis.readable import ReadableTable
from analysis.rows import contexts
from analysis.studies import STUDIES, has_table, readable, second
from analysis.text import https, printable, unaligned
from analysis.units import Against

MAX_TABLES = 200
MAX_LINES = 5000
_NAMES = ("estimator", "short_name", "family", "label")
_LONG = 48  # characters of a cell that may break


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: its text, without the interval.
        interval: the interval of its number; "" without one.
        kind: "name" (which stays in sight), "number", "long" or "".
        key: the number that it sorts by.
        link: a link.
        full: the canonical name, where the text is short for it.
        tied: whether it is not distinguishable from the best.
    """

    text: str
    interval: str
    kind: str
    key: float | None
    link: str | None
    full: str
    tied: bool


class Table(NamedTuple):
    """A table of a page; `columns` are titles and kinds, as those of cells."""

    anchor: str
    heading: str
    columns: list[tuple[str, str]]
    lines: list[list[Cell]]
    findings: Sequence[str]
    notes: list[str]
    sections: Mapping[str, Sequence[str]]


def tables_of(rows: pd.DataFrame, against: Against) -> list[ReadableTable]:
    """Return the tables of results: one for each context, as of each problem.

    Raises:
        ValueError: if they are too many, or cannot be shown.
    """
    study = STUDIES.get(rows.attrs["configuration"]["study"])
    if study is None or not has_table(rows):
        return []
    if "against" not in study.choices:
        against = "steps"
    if not study.is_split:
        return [readable(rows, against=against)]
    found = [part for _, part in contexts(rows)]
    lines = sum(part["estimator"].nunique() for part in found)
    if len(found) > MAX_TABLES or lines > MAX_LINES:
        raise ValueError(f"{len(found):,} tables of {lines:,} estimators are too many to show")
    shown = [readable(part, against=against) for part in found]
    return [*shown, *filter(None, [second(rows)])]


def on_page(anchor: str, table: ReadableTable) -> Table:
    """Return a table as a page shows it, at an anchor."""
    named = next(
        (place for place, one in enumerate(table.columns) if one.kind.style == "name"), table.key
    )
    kinds = ["number" if _is_number(column) else "" for column in table.columns]
    kinds[named] = "name"
    lines = [
        [_cell(*each, line) for each in zip(cells, table.columns, kinds, strict=True)]
        for cells, (_, line) in zip(table.cells(BRACKETED), table.frame.iterrows(), strict=True)
    ]
    skips = [f"Skipped: {', '.join(names)}: {why}." for why, names in table.reasons.items()]
    return Table(
        anchor,
        table.heading,
        columns=[(column.title, kind) for column, kind in zip(table.columns, kinds, strict=True)],
        lines=lines,
        findings=table.findings,
        notes=[*table.footnotes(), *skips],
        sections={title: [*map(unaligned, texts)] for title, texts in table.sections.items()},
    )


def _cell(text: str, column: Column, kind: str, line: pd.Series) -> Cell:
    value = line[column.field]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    key = float(value) if number and pd.notna(value) else None
    link = https(line.get("paper_link")) if column.field in _NAMES else None
    shown, bracket, rest = (
        text.partition(" [") if column.kind.style == "interval" else (text, "", "")
    )
    full = printable(line["estimator"]) if column.field == "short_name" else ""
    return Cell(
        shown,
        f"[{rest}" if bracket else "",
        kind or ("long" if len(text) > _LONG else ""),
        key,
        link,
        full if full != text else "",
        column.is_tied(line),
    )


def _is_number(column: Column) -> bool:
    return column.kind.style in ("number", "interval")
