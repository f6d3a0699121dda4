"""The published numbers, each as it was read in its source."""

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
        spread: what the paper prints behind a plus-minus sign, "" where nothing.
        source: where it stands: paper and table.
        notes: what is to be known of it.
    """

    value: float
    units: str
    spread: str
    source: str
    notes: str


def known(value: float, units: str, formula: str) -> Published:
    """Return an answer that is derived, and so exact."""
    return Published(value, units, "", f"derived: {formula}", "")


def unknown(source: str, units: str) -> Published:
    """Return what stands for a number that is not at hand."""
    return Published(math.nan, units, "", source, "")


def published(paper: str, table: str, **where: str) -> Published:
    """Return the one number of a paper's table that `where` names, by columns of published.csv.

    Of the column `notes` it is the beginning.

    Raises:
        LookupError: unless exactly one row of the file fits.
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
