"""Columns of readable tables, and the kinds of their cells."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import pandas as pd

from analysis import formats
from analysis.text import printable

Interval = Callable[[float, float, float], str]
"""Formats (value, low, high)."""


class Kind(NamedTuple):
    """Format and alignment of a column's cells.

    Attributes:
        write: formats a cell, given its line, the column's field and the format of intervals.
        style: "name" of an estimator, "word", "setting" (a number aligned to the left), "number"
            (aligned to the right) or "interval".
    """

    write: Callable[[pd.Series, str, Interval], str]
    style: Literal["name", "word", "setting", "number", "interval"]

    @property
    def is_right(self) -> bool:
        """Whether the column is aligned to the right."""
        return self.style == "number"


class Column(NamedTuple):
    """A column of a readable table: full title, short title in two lines, field and kind."""

    title: str
    short: tuple[str, str]
    field: str
    kind: Kind

    def cell(self, line: pd.Series, interval: Interval) -> str:
        """Return the text of a line's cell; `interval` formats (value, low, high)."""
        return printable(self.kind.write(line, self.field, interval))


def number(write: Callable[[float], str]) -> Kind:
    """Return a kind of numeric column whose text depends only on the value of the field."""
    return Kind(lambda line, field, interval: write(line[field]), "number")


def _interval(line: pd.Series, field: str, interval: Interval) -> str:
    return interval(line[field], line[f"{field}_low"], line[f"{field}_high"])


def _count(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.0f}" if value < 1e6 else formats.scientific(value)


NAME = Kind(lambda line, field, interval: str(line[field]), "name")
WORD = Kind(lambda line, field, interval: str(line[field]), "word")
SETTING = Kind(
    lambda line, field, interval: "-" if pd.isna(line[field]) else f"{line[field]:g}", "setting"
)
COUNT = number(_count)
NUMBER = number(formats.scientific)
INTERVAL = Kind(_interval, "interval")
# A value with the uncertainty of its last digits; independent of the terminal width.
ESTIMATE = Kind(lambda line, field, _: _interval(line, field, formats.uncertain), "number")
