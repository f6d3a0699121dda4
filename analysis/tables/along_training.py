"""The table of gradients measured during training."""

import dataclasses

import pandas as pd

from analysis import rows as tidy
from analysis.names import short_names
from analysis.readable import ReadableTable
from analysis.runs import read
from analysis.tables.comparison import comparison_table
from analysis.tables.places import places_table

_OF_RUN = {"data": "{}", "optimiser": "{}", "learning_rate": "learning rate {:g}"}
"""What else than its estimator may tell a run from others, and how it is said."""


_OF_TRAINING = ("data", "learning_rate", "paper_link")
"""Columns of a run that a comparison has not, or has of another estimator."""


def measured_table(rows: pd.DataFrame) -> ReadableTable | None:
    """Return the table of `places_table` of gradients measured during training, None without any.

    A place is a step of a run, whose estimator is `trained_with`, with what else tells it from
    others; a line is an estimator measured there.

    Args:
        rows: a tidy table of training runs, of one problem or several.

    Raises:
        ValueError: if the table is not one for `analysis.training_table`.
    """
    measured = _measured(rows)
    if measured.empty:
        return None
    tables = {place: comparison_table(part) for place, part in tidy.places(measured).items()}
    table = places_table(measured, tables) if len(tables) > 1 else tables[""]
    heading = f"Gradients during training: {table.heading}"
    return dataclasses.replace(table, heading=heading, findings=())  # they would be many


def _measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of measurements during training, as those of a comparison."""
    along = pd.concat([read(part) for _, part in tidy.contexts(rows)])
    found, _ = tidy.without_skipped(along[along["measured"] != ""])
    if found.empty:
        return found
    run = found["estimator"].map(short_names(rows))
    for name, said in _OF_RUN.items():
        if found.groupby(["problem", "estimator"])[name].nunique().gt(1).any():
            run = run + ", " + found[name].map(said.format)
    made = found.assign(
        study="compare",
        trained_with=run,
        estimator=found["measured"],
        short_name=found["measured"].map(short_names(found, "measured")),
        method=found["measured"].str.partition("[")[0],
        unbiased=found["measured_unbiased"] if "measured_unbiased" in found else "",
    )
    # These are of the estimator that trains.
    own = [name for name in made if str(name).startswith("p_") or name in _OF_TRAINING]
    made = made.drop(columns=own)
    about = {**tidy.configuration(rows), "study": "compare"}
    made.attrs = {"configuration": about, "complete": tidy.is_complete(rows)}
    return made
