"""The published numbers, as stated in their sources."""

import csv
import functools
import math
from importlib import resources
from typing import NamedTuple


class Published(NamedTuple):
    """A published number.

    Attributes:
        value: the number.
        units: its units.
        spread: the number after a plus-minus sign, "" without one.
        source: paper and table.
        notes: remarks on the number.
    """

    value: float
    units: str
    spread: str
    source: str
    notes: str


def known(value: float, units: str, formula: str) -> Published:
    """Return an exact, derived answer."""
    return Published(value, units, "", f"derived: {formula}", "")


def unknown(source: str, units: str) -> Published:
    """Return a placeholder for a number that is not available."""
    return Published(math.nan, units, "", source, "")


def published(paper: str, table: str, **where: str) -> Published:
    """Return the number of a paper's table that `where` selects by columns of published.csv.

    The column `notes` is matched by prefix.

    Raises:
        LookupError: unless exactly one row matches.
    """
    where = {"paper": paper, "table": table} | where
    notes = where.pop("notes", "")
    found = [
        row
        for row in _rows()
        if row["notes"].startswith(notes)
        and all(row[name] == value for name, value in where.items())
    ]
    if len(found) != 1:
        raise LookupError(f"{len(found)} published numbers have {where}")
    (row,) = found
    source = f"{row['paper']}, {row['table']} ({row['source']})"
    return Published(float(row["value"]), row["units"], row["spread"], source, row["notes"])


@functools.cache
def _rows() -> list[dict[str, str]]:
    with (resources.files("experiments.studies.reproduction") / "published.csv").open(
        encoding="utf-8"
    ) as file:
        return list(csv.DictReader(file))
