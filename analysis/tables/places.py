"""The table of estimators measured at several steps or training runs."""

import dataclasses
from collections.abc import Mapping

import pandas as pd

from analysis.columns import NUMBER, WORD, Column
from analysis.readable import ReadableTable
from analysis.rows import heading, is_complete
from analysis.tables.comparison import ESTIMATOR

_PLACE = Column("measured at", ("", "measured at"), "place", WORD)
_NORM = Column(
    "norm of the true gradient",
    ("norm of the", "true gradient"),
    "truth_norm",
    NUMBER,
)


def places_table(rows: pd.DataFrame, tables: Mapping[str, ReadableTable]) -> ReadableTable:
    """Return the tables of several places as one: a block of lines for each.

    Args:
        rows: the rows of all places.
        tables: the table of each, by the name of the place.

    Returns:
        The columns of these tables, with `place`, `trained_with` and `step` in front, and
        `truth_norm`, the norm of the true gradient there.
    """
    first = next(iter(tables.values()))
    shared = {
        name: value
        for name, value in first.context.items()
        if all(table.context.get(name) == value for table in tables.values())
    }
    frames = []
    for place, table in tables.items():
        frame = table.frame.copy()
        own = [name for name in ("trained_with", "step") if name not in shared]
        for position, name in enumerate(own):
            frame.insert(position, name, table.context[name])
        frame.insert(0, "place", place)
        frame.insert(len(frame.columns) - 1, "truth_norm", table.settings["truth_norm"])
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    drawn = frame.loc[frame["method"] != "Exact", "samples"].dropna()
    seeds = first.context.get("seeds", 1)
    rest = [column for column in first.columns[first.key + 1 :] if column.field != "temperature"]
    return dataclasses.replace(
        first,
        frame=frame,
        columns=(_PLACE, ESTIMATOR, *rest),
        more_columns=(*first.more_columns, _NORM),
        heading=heading(
            shared,
            complete=is_complete(rows),
            samples=(int(drawn.min()), int(drawn.max())) if len(drawn) else None,
            seeds=(seeds, seeds) if seeds > 1 else None,
        ),
        findings=[
            f"{place[0].upper()}{place[1:]}: {sentence}"
            for place, table in tables.items()
            for sentence in table.findings
        ],
        skipped=_skipped(tables),
        context=shared,
        settings={name: value for name, value in first.settings.items() if name != "truth_norm"},
        is_grouped=True,
    )


def _skipped(tables: Mapping[str, ReadableTable]) -> dict[str, str]:
    """Return the reasons for which estimators are skipped; those of one place name it."""
    found: dict[str, str] = {}
    for place, table in tables.items():
        for name, reason in table.skipped.items():
            everywhere = all(one.skipped.get(name) == reason for one in tables.values())
            found[name if everywhere else f"{name} ({place})"] = reason
    return found
