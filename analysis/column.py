"""One column of a readable table, and the text of its cells."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from analysis import formats
from analysis.text import printable

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
        return self.kind in (
            "number",
            "cosine",
            "duration",
            "count",
            "estimate",
            "speed",
            "known",
            "difference",
            "power",
        )


def cell(line: pd.Series, column: Column, interval: Interval, limit: bool) -> str:
    """Return the text of a cell.

    Args:
        line: of the table.
        column: of the table.
        interval: writes (value, low, high) where the column's kind is "interval".
        limit: whether the line's squared bias cannot be distinguished from zero.
    """
    return printable(_written(line, column, interval, limit))


def _written(line: pd.Series, column: Column, interval: Interval, limit: bool) -> str:
    if column.kind in _LINE_WRITERS:
        return _LINE_WRITERS[column.kind](line)
    value = line[column.field]
    if column.kind in _WRITERS:
        return _WRITERS[column.kind](value)
    low, high = line[f"{column.field}_low"], line[f"{column.field}_high"]
    if column.kind == "estimate":
        return formats.uncertain(value, low, high)
    if column.field == "squared_bias" and limit and pd.notna(high):
        return formats.upper_limit(high)
    return interval(value, low, high)


def _count(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.0f}" if value < 1e6 else formats.scientific(value)


def _rate(line: pd.Series) -> str:
    mark = " *" if line["best"] and line["tried"] > 1 else ""
    return formats.setting(line["learning_rate"]) + mark


def _diverged(line: pd.Series) -> str:
    """Write how many seeds diverged, and when: `0`, `1: 120`, `all: 120-480`."""
    if not line["diverged"]:
        return "0"
    first, last = (f"{line[f'diverged_{end}']:,.0f}" for end in ("first", "last"))
    many = "all" if line["diverged"] == line["seeds"] else line["diverged"]
    return f"{many}: {last}" if first == last else f"{many}: {first}-{last}"


def _tried(line: pd.Series) -> str:
    """Write how many candidates were compared, and the steps of each: `2 x 2,000`."""
    if pd.isna(line["tried"]):
        return "-"
    return f"{line['tried']:.0f} x {line['tried_steps']:,.0f}"


_WRITERS: dict[str, Callable[..., str]] = {
    "name": str,
    "word": lambda value: str(value).removeprefix("up to "),
    "count": _count,
    "setting": lambda value: "-" if pd.isna(value) else f"{value:g}",
    "number": formats.scientific,
    "cosine": formats.cosine,
    "duration": formats.duration,
    "speed": lambda value: formats.plain(value, digits=3),
    "known": lambda value: f"{value:.6g}",
    "power": lambda value: f"{value:.2f}",
    "difference": lambda value: "-" if pd.isna(value) else f"{value:+.3g}",
}
_LINE_WRITERS: dict[str, Callable[[pd.Series], str]] = {
    "rate": _rate,
    "diverged": _diverged,
    "tried": _tried,
}
