"""The table of estimators measured at several places: problems, parameters, steps or runs."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.columns import NUMBER, WORD, Column
from analysis.readable import ReadableTable
from analysis.rows import PLACE, differing, heading, is_complete
from analysis.tables.comparison import ESTIMATOR

_PLACE = Column("measured at", ("", "measured at"), "place", WORD)
_PROBLEM = _PLACE._replace(title="problem", short=("", "problem"))
_ONE_DRAW = (
    "Groups are parts of the same gradients: what an estimator learns is tuned for all of them "
    "together, and the time is that of all."
)
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
        The columns of these tables, with `place` and the columns in which the places differ in
        front, such as `problem` and `step`, and `truth_norm`, the norm of the true gradient there.
    """
    first = next(iter(tables.values()))
    shared = {
        name: value
        for name, value in first.context.items()
        if all(table.context.get(name) == value for table in tables.values())
    }
    own = [name for name in PLACE if name in first.context and name not in shared]
    frames = []
    for place, table in tables.items():
        frame = table.frame.copy()
        for position, name in enumerate(own):
            frame.insert(position, name, table.context[name])
        frame.insert(0, "place", place)
        frame.insert(len(frame.columns) - 1, "truth_norm", table.settings["truth_norm"])
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    drawn = frame.loc[frame["method"] != "Exact", "samples"].dropna()
    seeds = [int(table.context.get("seeds") or 1) for table in tables.values()]
    rest = [
        _described(column, tables)
        for column in first.columns[first.key + 1 :]
        if column.field != "temperature"
    ]
    names = differing(rows)
    return dataclasses.replace(
        first,
        frame=frame,
        columns=(_PROBLEM if names == ["problem"] else _PLACE, ESTIMATOR, *rest),
        more_columns=(*(_described(column, tables) for column in first.more_columns), _NORM),
        heading=heading(
            shared,
            complete=is_complete(rows),
            samples=(int(drawn.min()), int(drawn.max())) if len(drawn) else None,
            seeds=(min(seeds), max(seeds)) if max(seeds) > 1 else None,
        ),
        notes=[
            *dict.fromkeys(note for table in tables.values() for note in table.notes),
            *_unsaid(tables, [name for name in own if name not in names]),
            *([_ONE_DRAW] * ("group" in names)),
        ],
        findings=[
            f"{_begun(place, names)}: {sentence}"
            for place, table in tables.items()
            for sentence in table.findings
        ],
        skipped=_skipped(tables),
        context=shared,
        settings={name: value for name, value in first.settings.items() if name != "truth_norm"},
        is_grouped=True,
    )


def _begun(place: str, names: Sequence[str]) -> str:
    """Return the name of a place as it begins a sentence; the name of a problem stays as it is."""
    return place if names[:1] in (["problem"], ["objective"]) else f"{place[0].upper()}{place[1:]}"


def _described(column: Column, tables: Mapping[str, ReadableTable]) -> Column:
    """Return a column whose explanation holds for all places."""
    about: dict[str, list[str]] = {}
    for place, table in tables.items():
        for one in (*table.columns, *table.more_columns):
            if one.field == column.field:
                about.setdefault(one.about, []).append(place)
    if len(about) < 2:
        return column
    return column._replace(
        about=" ".join(f"{', '.join(some)}: {said}" for said, some in about.items())
    )


def _unsaid(tables: Mapping[str, ReadableTable], names: Sequence[str]) -> list[str]:
    """Return one note on what differs between places and is not in their names, if anything."""
    found: dict[str, list[str]] = {}
    for place, table in tables.items():
        own = {name: table.context[name] for name in names}
        if text := heading(own, complete=True):
            found.setdefault(text, []).append(place)
    said = [f"{', '.join(some)}: {text}" for text, some in found.items()]
    return [f"{'; '.join(said)}."] if said else []


def _skipped(tables: Mapping[str, ReadableTable]) -> dict[str, str]:
    """Return the reasons for which estimators are skipped; those of some places name them."""
    at: dict[tuple[str, str], list[str]] = {}
    for place, table in tables.items():
        for skipped in table.skipped.items():
            at.setdefault(skipped, []).append(place)
    return {
        name if len(some) == len(tables) else f"{name} ({'; '.join(some)})": reason
        for (name, reason), some in at.items()
    }
