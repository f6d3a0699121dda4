"""A table for readers, independent of the format in which it is rendered."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from analysis.columns import Column, Form
from analysis.text import printable


@dataclasses.dataclass(frozen=True, eq=False)
class ReadableTable:
    """A table for readers; `to_text`, `to_markdown`, `to_csv` and `to_latex` render it.

    Texts may be untrusted: control characters are escaped.

    Attributes:
        frame: the lines with all columns, including `note`; a flag `FIELD_tied` says that the
            value of a field is not distinguishable from the best one.
        columns: the columns that are shown, the most important first: where there is no room, the
            last are left out.
        heading: a line above the table.
        notes: footnotes of the whole table. Those on its columns and numbered notes on lines follow
            them.
        sections: lists below the table, by title.
        findings: sentences that conclude the table.
        skipped: estimators that are not in the table, with the reason.
        context: values shared by all lines; the first columns of the CSV file.
        settings: likewise; the last columns of the CSV file.
        is_grouped: whether the first column names a group of consecutive lines, and only the second
            one a line.
        more_columns: further columns that `chosen` may show.
    """

    frame: pd.DataFrame
    columns: Sequence[Column]
    heading: str
    notes: Sequence[str] = ()
    sections: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    findings: Sequence[str] = ()
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    context: Mapping[str, str | float | None] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, str | float | None] = dataclasses.field(default_factory=dict)
    is_grouped: bool = False
    more_columns: Sequence[Column] = ()

    def __post_init__(self) -> None:
        """Escape control characters."""
        safe = {
            "heading": printable(self.heading),
            "notes": [*map(printable, self.notes)],
            "findings": [*map(printable, self.findings)],
            "sections": {
                printable(title): [*map(printable, lines)] for title, lines in self.sections.items()
            },
        }
        for name, value in safe.items():
            object.__setattr__(self, name, value)

    @property
    def key(self) -> int:
        """The position of the column that names a line."""
        return int(self.is_grouped)

    def chosen(self, fields: Iterable[str]) -> "ReadableTable":
        """Return the table with other columns after those that name a line, in the given order.

        Raises:
            ValueError: if there is no such column.
        """
        names, rest = self.columns[: self.key + 1], self.columns[self.key + 1 :]
        known = {column.field: column for column in (*rest, *self.more_columns)}
        columns = [*names, *(_known(field, known) for field in dict.fromkeys(fields))]
        others = [column for column in known.values() if column not in columns]
        return dataclasses.replace(self, columns=columns, more_columns=others)

    def sorted(self, field: str) -> "ReadableTable":
        """Return the table sorted by a column, the best first; lines without a value come last.

        Raises:
            ValueError: if there is no such column.
        """
        known = {column.field: column for column in (*self.columns, *self.more_columns)}
        falls = _known(field, known).higher_is_better
        frame = self.frame.sort_values(field, ascending=not falls, kind="stable", ignore_index=True)
        return dataclasses.replace(self, frame=frame)

    def cells(self, form: Form) -> list[list[str]]:
        """Return the text of every cell, line by line, with numbers in the given form."""
        marks = {note: f" ({i})" for i, note in enumerate(self._line_notes, start=1)} | {"": ""}
        body = []
        for _, line in self.frame.iterrows():
            texts = [column.cell(line, form) for column in self.columns]
            texts[self.key] += marks[line["note"]]
            body.append(texts)
        return _level(body, self.ties(self.columns), self.columns, form)

    def grouped_cells(self, form: Form) -> list[list[str]]:
        """Return the cells, with the name of a group only in its first line."""
        body = self.cells(form)
        if self.is_grouped:
            names = self.frame[self.columns[0].field]
            for texts, is_same in zip(body, names.eq(names.shift()), strict=True):
                texts[0] = "" if is_same else texts[0]
        return body

    def ties(self, columns: Sequence[Column]) -> list[list[bool]]:
        """Return, line by line, which columns have a value not distinguishable from the best."""
        lines = [line for _, line in self.frame.iterrows()]
        return [[column.is_tied(line) for column in columns] for line in lines]

    def footnotes_of(self, form: Form) -> list[str]:
        """Return the footnotes of all columns, after what the form of intervals means."""
        has_intervals = any(column.kind.style == "interval" for column in self.columns)
        return [form.legend] * has_intervals + self.footnotes()

    def footnotes(self, columns: Sequence[Column] | None = None, tied: str = "Bold") -> list[str]:
        """Return the footnotes: of the table, of the given columns and the numbered ones of lines.

        Args:
            columns: the columns that are shown; by default, all of the table.
            tied: what marks a value that is not distinguishable from the best; "" if nothing does.
        """
        shown = self.columns if columns is None else columns
        about = dict.fromkeys(column.about for column in shown if column.about)
        if tied and any(map(any, self.ties(shown))):
            about[f"{tied}: {_TIED}"] = None
        numbered = [f"({i}) {note}." for i, note in enumerate(self._line_notes, start=1)]
        return [*self.notes, *map(printable, (*about, *numbered))]

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


_TIED = "not distinguishable from the best (paired test, 95 % for all comparisons together)."


def _level(
    body: list[list[str]],
    ties: Sequence[Sequence[bool]],
    columns: Sequence[Column],
    form: Form,
) -> list[list[str]]:
    """Return cells with the room of a mark where there is none, so that their digits are level."""
    room = " " * len(form.tied.format(""))
    marked = [
        column.kind.is_right and any(flags[place] for flags in ties)
        for place, column in enumerate(columns)
    ]
    return [
        [
            text + room * (has_marks and not tied)
            for text, tied, has_marks in zip(texts, flags, marked, strict=True)
        ]
        for texts, flags in zip(body, ties, strict=True)
    ]


def _known(field: str, known: Mapping[str, Column]) -> Column:
    if field not in known:
        raise ValueError(f"the table has no column {field!r}; choose from {', '.join(known)}")
    return known[field]
