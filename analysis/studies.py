"""The columns, table and figures of each study."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis import atlas, rows, runs
from analysis.readable import ReadableTable
from analysis.tables import claims, opponents, reproduction
from analysis.tables.along_training import measured_table
from analysis.tables.atlas import atlas_table
from analysis.tables.comparison import Cost, comparison_table
from analysis.tables.places import places_table, problems_table
from analysis.tables.predictions import predictions_table
from analysis.tables.temperature import temperature_table
from analysis.tables.training import training_table
from analysis.units import Against


class Study(NamedTuple):
    """How to read and display the results of a study.

    Attributes:
        columns: required columns.
        table: returns the readable table of the rows.
        is_split: whether each context has its own table (otherwise one table contains all rows).
        figures: modules of `analysis.figures`.
        budget: the type of `budget` in the configuration; None if absent.
        choices: the choices of `readable` that `table` takes.
        joined: returns one table of those of several contexts.
        second: returns a second table, None if the rows have none; its files are `SECOND`.
    """

    columns: tuple[str, ...]
    table: Callable[..., ReadableTable]
    is_split: bool = False
    figures: tuple[str, ...] = ()
    budget: type | None = None
    choices: tuple[str, ...] = ()
    joined: Callable[[pd.DataFrame, Mapping[str, ReadableTable]], ReadableTable] = places_table
    second: Callable[[pd.DataFrame], ReadableTable | None] = lambda rows: None


SECOND = "measured"
"""The name of the files of second tables: of gradients measured during training."""

_MEASURED = Study(
    rows.COLUMNS,
    comparison_table,
    is_split=True,
    figures=("bias_variance", "error_cost", "over_steps", "by_group", "coordinates"),
    budget=float,
    choices=("cost",),
)
STUDIES = {
    "compare": _MEASURED,
    "diagnose": _MEASURED._replace(figures=("bias_variance", "error_cost")),
    "temperature": _MEASURED._replace(
        table=temperature_table, figures=("temperature", "coordinates"), choices=()
    ),
    "train": Study(
        runs.COLUMNS,
        training_table,
        is_split=True,
        figures=("training", "rank", "along_training"),
        choices=("against",),
        joined=problems_table,
        second=measured_table,
    ),
    "reproduce": Study(
        reproduction.COLUMNS, reproduction.reproduction_table, figures=("reproduction",)
    ),
    "claims": Study(claims.COLUMNS, claims.claims_table, budget=str),
    "opponents": Study(opponents.COLUMNS, opponents.opponents_table),
    "figure": Study(("study", "figure", "task"), predictions_table),
    "atlas": Study(
        atlas.COLUMNS,
        atlas_table,
        figures=("atlas_map", "atlas_profiles", "atlas_ranks"),
        budget=float,
    ),
}
"""Keyed by the name in a results file's configuration."""


def study_of(results: pd.DataFrame) -> Study:
    """Return the study that wrote these results.

    Raises:
        ValueError: if the study is unknown.
    """
    name = rows.configuration(results).get("study")
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}; choose from {', '.join(STUDIES)}")
    return STUDIES[name]


def has_table(results: pd.DataFrame) -> bool:
    """Return whether results have a readable table: those of a figure need predictions."""
    is_figure = rows.configuration(results).get("study") == "figure"
    return not is_figure or not rows.predictions(results).empty


def second(results: pd.DataFrame) -> ReadableTable | None:
    """Return the second table of a study's results, None if they have none.

    Raises:
        ValueError: as the table of the study.
    """
    return study_of(results).second(results)


def readable(
    results: pd.DataFrame,
    *,
    cost: Cost = "evaluations",
    against: Against = "steps",
    columns: Sequence[str] = (),
    sort: str | None = None,
) -> ReadableTable:
    """Return the readable table of a study's results.

    Args:
        results: the tidy table of one context, or of several, such as problems or steps, which
            have a block of lines each; with the results file's metadata in `attrs`.
        cost: what costs are counted in, where estimators are compared at equal cost.
        against: what training runs are compared against: "steps", "evaluations" of f or "seconds".
        columns: the columns that are shown after the names; by default those of the study.
        sort: the column to sort by; by default as the study does.

    Raises:
        ValueError: if the study is unknown or has no table, no such column or no such choice, or as
            the table of the study.
    """
    study = study_of(results)
    table = study.table
    given = {"cost": cost} if cost != "evaluations" else {}
    given |= {"against": against} if against != "steps" else {}
    for name, value in given.items():
        if name not in study.choices:
            raise ValueError(f"the table of these results has no {name}, so none of {value}")
    tables = {}
    parts = rows.places(results) if study.is_split else {"": results}
    for name, part in parts.items():
        one = table(part, **given)
        one = one.chosen(columns) if columns else one
        tables[name] = one.sorted(sort) if sort else one
    return study.joined(results, tables) if len(tables) > 1 else tables[""]
