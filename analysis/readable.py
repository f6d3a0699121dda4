"""A table for readers, independent of the format in which it is rendered."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.columns import Column, Interval
from analysis.text import printable


@dataclasses.dataclass(frozen=True, eq=False)
class ReadableTable:
    """A table for readers; `to_text`, `to_markdown`, `to_csv` and `to_latex` render it.

    Texts may be untrusted: control characters are escaped.

    Attributes:
        frame: the lines with all columns, including `note`.
        columns: the columns to show, from left to right.
        heading: a line above the table.
        notes: footnotes that explain the columns. Numbered notes on lines are appended.
        sections: lists below the table, keyed by title.
        skipped: estimators that are not in the table, with the reason.
        context: values shared by all lines; the first columns of the CSV file.
        settings: likewise; the last columns of the CSV file.
        is_grouped: whether the first column names a group of consecutive lines and the second
            column the lines.
    """

    frame: pd.DataFrame
    columns: Sequence[Column]
    heading: str
    notes: Sequence[str] = ()
    sections: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    context: Mapping[str, str | float | None] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, str | float | None] = dataclasses.field(default_factory=dict)
    is_grouped: bool = False

    def __post_init__(self) -> None:
        """Escape control characters."""
        safe = {
            "heading": printable(self.heading),
            "notes": [*map(printable, self.notes)],
            "sections": {
                printable(title): [*map(printable, lines)] for title, lines in self.sections.items()
            },
        }
        for name, value in safe.items():
            object.__setattr__(self, name, value)

    def cells(self, interval: Interval) -> list[list[str]]:
        """Return the text of every cell by line; `interval` formats (value, low, high)."""
        marks = {note: f" ({i})" for i, note in enumerate(self._line_notes, start=1)} | {"": ""}
        body = []
        for _, line in self.frame.iterrows():
            texts = [column.cell(line, interval) for column in self.columns]
            texts[int(self.is_grouped)] += marks[line["note"]]
            body.append(texts)
        return body

    def grouped_cells(self, interval: Interval) -> list[list[str]]:
        """Return the cells, with a group's name only in its first line."""
        body = self.cells(interval)
        if self.is_grouped:
            names = self.frame[self.columns[0].field]
            for texts, is_same in zip(body, names.eq(names.shift()), strict=True):
                texts[0] = "" if is_same else texts[0]
        return body

    @property
    def footnotes(self) -> list[str]:
        """The footnotes: what the columns mean, and the numbered notes on lines."""
        numbered = [f"({i}) {note}." for i, note in enumerate(self._line_notes, start=1)]
        return [*self.notes, *map(printable, numbered)]

    @property
    def reasons(self) -> dict[str, list[str]]:
        """The skipped estimators by reason."""
        found: dict[str, list[str]] = {}
        for name, reason in self.skipped.items():
            found.setdefault(printable(reason), []).append(printable(name))
        return found

    @property
    def _line_notes(self) -> list[str]:
        return [note for note in self.frame["note"].unique() if note]
