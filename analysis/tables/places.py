"""Tables of several places as one, with a block of lines for each.

The places of measurements are problems, groups of parameters, steps and runs; those of training
runs are problems.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

import pandas as pd

from analysis.columns import NUMBER, WORD, Column
from analysis.readable import ReadableTable
from analysis.rows import PLACE, differing, heading, is_complete
from analysis.tables.comparison import ESTIMATOR
from analysis.tables.conclusion import at_equal, ranked
from analysis.tables.training import final_columns
from analysis.text import listed

_PLACE = Column("measured at", ("", "measured at"), "place", WORD)
_PROBLEM = _PLACE._replace(title="problem", short=("", "problem"))
_ONE_DRAW = (
    "Groups are parts of the same gradients: what an estimator learns is tuned for all of them "
    "together, and the time is that of all."
)
_MOST_CONCLUDED = 3
"""The most places whose conclusions are said in full."""

_NORM = Column(
    "norm of the true gradient",
    ("norm of the", "true gradient"),
    "truth_norm",
    NUMBER,
)


def places_table(rows: pd.DataFrame, tables: Mapping[str, ReadableTable]) -> ReadableTable:
    """Return the tables of measurements at several places as one: a block of lines for each.

    Args:
        rows: the rows of all places.
        tables: the table of each, by the name of the place.

    Returns:
        The columns of these tables, with `place` and the columns in which the places differ in
        front, such as `problem` and `step`, and `truth_norm`, the norm of the true gradient there.
    """
    table = _joined(rows, tables, of_place=["truth_norm"])
    first = next(iter(tables.values()))
    drawn = table.frame.loc[table.frame["method"] != "Exact", "samples"].dropna()
    seeds = [int(one.context.get("seeds") or 1) for one in tables.values()]
    names = differing(rows)
    rest = [
        _described(column, tables)
        for column in first.columns[first.key + 1 :]
        if column.field != "temperature"
    ]
    return dataclasses.replace(
        table,
        columns=(*table.columns, *rest),
        more_columns=(*(_described(column, tables) for column in first.more_columns), _NORM),
        heading=heading(
            table.context,
            complete=is_complete(rows),
            samples=(int(drawn.min()), int(drawn.max())) if len(drawn) else None,
            seeds=(min(seeds), max(seeds)) if max(seeds) > 1 else None,
        ),
        notes=[
            *dict.fromkeys(note for one in tables.values() for note in one.notes),
            *_unsaid(tables, [name for name in _own(tables) if name not in names]),
            *([_ONE_DRAW] * ("group" in names)),
        ],
        findings=table.findings if len(tables) <= _MOST_CONCLUDED else _leaders(tables),
    )


def _leaders(tables: Mapping[str, ReadableTable]) -> list[str]:
    """Return the sentence that says which estimator has the least error at which places."""
    first = next(iter(tables.values()))
    shown = [column.field for column in (*first.columns, *first.more_columns)]
    error = next(name for name in shown if name in ("equal_cost_error", "equal_time_error"))
    leads: dict[str, list[str]] = {}
    for place, table in tables.items():
        names = [*ranked(table.frame, error)["short_name"], "none with an interval"]
        leads.setdefault(names[0], []).append(place)
    said = [
        f"{name} at {len(led)} of {len(tables)} ({listed(led)})"
        for name, led in sorted(leads.items(), key=lambda one: -len(one[1]))
    ]
    return [f"Least error {at_equal(error)}, of those with any: {'; '.join(said)}."]


def problems_table(rows: pd.DataFrame, tables: Mapping[str, ReadableTable]) -> ReadableTable:
    """Return the tables of training runs on several problems as one: a block of lines for each.

    The runs of a problem are compared with each other alone, at its own budget.

    Args:
        rows: the rows of all problems.
        tables: the table of each, by the name of the problem.

    Returns:
        The columns of these tables, with `place` and the columns in which the problems differ in
        front, such as `problem` and `data`, and the settings in which they differ at the end.
    """
    table = _joined(rows, tables)
    optimisers = table.frame["optimiser"].unique()
    steps, seeds = rows.groupby("problem")["step"].max(), table.frame["seeds"]
    rest = final_columns(table.frame, is_told=len(optimisers) == 1)
    return dataclasses.replace(
        table,
        columns=(*table.columns, *(one for one in rest if one.field != ESTIMATOR.field)),
        heading=heading(
            table.context,
            complete=is_complete(rows),
            optimiser=optimisers[0] if len(optimisers) == 1 else None,
            steps=(int(steps.min()), int(steps.max())),
            seeds=(int(seeds.min()), int(seeds.max())) if len(seeds) else None,
        ),
        notes=[*_said_where({place: one.notes for place, one in tables.items()})],
    )


def _own(tables: Mapping[str, ReadableTable]) -> list[str]:
    """Return the columns of the context in which places differ."""
    first, *others = (table.context for table in tables.values())
    return [
        name
        for name, value in first.items()
        if name in PLACE and any(one.get(name) != value for one in others)
    ]


def _joined(
    rows: pd.DataFrame, tables: Mapping[str, ReadableTable], of_place: Collection[str] = ()
) -> ReadableTable:
    """Return the lines of several tables as one, with the columns that name a line.

    Args:
        rows: the rows of all places.
        tables: the table of each.
        of_place: settings of a place that are columns even if all have the same.
    """
    first, *others = tables.values()
    own = _own(tables)
    shared = {
        name: value
        for name, value in first.context.items()
        if all(table.context.get(name) == value for table in others)
    }
    settings = {
        name: value
        for name, value in first.settings.items()
        if name not in of_place and all(table.settings.get(name) == value for table in others)
    }
    several = dict.fromkeys(
        name for table in tables.values() for name in table.settings if name not in settings
    )
    frames = []
    for place, table in tables.items():
        about = {"place": place} | {name: table.context[name] for name in own}
        front = pd.DataFrame(about, index=table.frame.index)
        ends = {name: table.settings.get(name) for name in several}
        back = pd.DataFrame(ends, index=table.frame.index)
        notes = table.frame[["note"]]
        frames.append(pd.concat([front, table.frame.drop(columns="note"), back, notes], axis=1))
    frame = pd.concat(frames, ignore_index=True)
    for name in (name for name in frame if name.endswith("_tied")):
        frame[name] = frame[name].eq(True)  # no value, no tie
    names = differing(rows)
    return dataclasses.replace(
        first,
        frame=frame,
        columns=(_PROBLEM if names == ["problem"] else _PLACE, ESTIMATOR),
        findings=[
            f"{_begun(place, names)}: {sentence}"
            for place, table in tables.items()
            for sentence in table.findings
        ],
        skipped=_skipped(tables),
        context=shared,
        settings=settings,
        is_grouped=True,
    )


def _said_where(notes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the notes that hold at all places, then those of several, and of each, with names."""
    where: dict[str, list[str]] = {}
    for place, each in notes.items():
        for note in each:
            where.setdefault(note, []).append(place)
    for note, some in sorted(where.items(), key=lambda one: -len(one[1])):
        yield note if len(some) == len(notes) else f"{', '.join(some)}: {note}"


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
    about = _of_problems(about, tables)
    return column._replace(
        about=" ".join(f"{', '.join(some)}: {said}" for said, some in about.items())
    )


def _of_problems(
    said: Mapping[str, Sequence[str]], tables: Mapping[str, ReadableTable]
) -> dict[str, list[str]]:
    """Return texts with their problems in place of their places, if no problem has two texts."""
    problems = {
        text: list(dict.fromkeys(str(tables[place].context["problem"]) for place in places))
        for text, places in said.items()
    }
    each = [problem for some in problems.values() for problem in some]
    if len(set(each)) < len(each):
        return {text: list(places) for text, places in said.items()}
    return problems


def _unsaid(tables: Mapping[str, ReadableTable], names: Sequence[str]) -> list[str]:
    """Return one note on what differs between places and is not in their names, if anything."""
    found: dict[str, list[str]] = {}
    for place, table in tables.items():
        own = {name: table.context[name] for name in names}
        if text := heading(own, complete=True):
            found.setdefault(text, []).append(place)
    found = _of_problems(found, tables)
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
