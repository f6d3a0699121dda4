"""Columns of readable tables, and the kinds of their cells."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import pandas as pd

from analysis import formats
from analysis.text import printable

Interval = Callable[[float, float, float], str]
"""Formats (value, low, high)."""


class Form(NamedTuple):
    """How the numbers of a rendering are written.

    Attributes:
        interval: an estimate with its interval.
        limit: an upper limit, of a value that is not distinguishable from zero.
        estimate: an estimate whose decimals follow from its interval.
        duration: a time in seconds with its interval.
        legend: what the form means; "" if that is plain.
        tied: the text of a cell that is marked as not distinguishable from the best.
    """

    interval: Interval
    limit: Callable[[float], str] = formats.upper_limit
    estimate: Interval = formats.uncertain
    duration: Interval = formats.bracketed_duration
    legend: str = ""
    tied: str = "{}"


_SIDE = "±9%: the longer side of the interval, relative to the value."
_LIMIT = "< u: at most u, not distinguishable from zero."
BRACKETED = Form(formats.bracketed, legend=_LIMIT)
RELATIVE = Form(formats.relative, duration=formats.relative_duration, legend=f"{_SIDE} {_LIMIT}")
TIGHT = Form(
    formats.tight, formats.below, duration=formats.tight_duration, legend=f"{_SIDE} {_LIMIT}"
)


class Kind(NamedTuple):
    """Format and alignment of a column's cells.

    Attributes:
        write: returns the text of a line's cell, given the line, the column's field and the form
            of numbers.
        style: "name" of an estimator, "word", "setting" (a number aligned to the left), "number"
            (aligned to the right) or "interval".
    """

    write: Callable[[pd.Series, str, Form], str]
    style: Literal["name", "word", "setting", "number", "interval"]

    @property
    def is_right(self) -> bool:
        """Whether the column is aligned to the right."""
        return self.style == "number"


class Column(NamedTuple):
    """A column of a readable table.

    Attributes:
        title: its title in full.
        short: its title in two short lines.
        field: the column of the frame.
        kind: format and alignment of its cells.
        about: a sentence that explains it, shown below the table.
        higher_is_better: whether a table that is sorted by it begins with the largest value.
    """

    title: str
    short: tuple[str, str]
    field: str
    kind: Kind
    about: str = ""
    higher_is_better: bool = False

    def cell(self, line: pd.Series, form: Form) -> str:
        """Return the text of a line's cell."""
        text = printable(self.kind.write(line, self.field, form))
        return form.tied.format(text) if self.is_tied(line) else text

    def is_tied(self, line: pd.Series) -> bool:
        """Return whether a line's value is not distinguishable from the best of the column."""
        return bool(line.get(f"{self.field}_tied", False))


def number(write: Callable[[float], str]) -> Kind:
    """Return a kind of number that depends on the column's field alone."""
    return Kind(lambda line, field, form: write(line[field]), "number")


def estimate(line: pd.Series, field: str) -> tuple[float, float, float]:
    """Return the value of a line's field and the ends of its interval."""
    return line[field], line[f"{field}_low"], line[f"{field}_high"]


def _count(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.0f}" if value < 1e6 else formats.scientific(value)


NAME = Kind(lambda line, field, form: str(line[field]), "name")
WORD = Kind(lambda line, field, form: str(line[field]), "word")
SETTING = Kind(
    lambda line, field, form: "-" if pd.isna(line[field]) else f"{line[field]:g}", "setting"
)
COUNT = number(_count)
NUMBER = number(formats.scientific)
INTERVAL = Kind(lambda line, field, form: form.interval(*estimate(line, field)), "interval")
DURATION = Kind(lambda line, field, form: form.duration(*estimate(line, field)), "interval")
# A value with the uncertainty of its last digits, regardless of terminal width.
ESTIMATE = Kind(lambda line, field, form: form.estimate(*estimate(line, field)), "number")
