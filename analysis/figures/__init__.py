"""Figures: in each module, `data(rows)` returns the plotted data and `draw(rows)` the figure.

`pictures` has `load(path)` and `draw(name, pictures)` instead. `legend`, `marks`, `step_panels`,
`traces` and `triangle` are shared components.
"""

import importlib
from typing import Protocol, cast

import pandas as pd
from matplotlib.figure import Figure

from analysis.rows import places
from analysis.studies import study_of


class Drawing(Protocol):
    """A module that draws a figure."""

    def data(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the plotted data."""
        ...

    def draw(self, rows: pd.DataFrame) -> Figure:
        """Return the figure."""
        ...


def named(name: str) -> Drawing:
    """Return the module that draws the named figure."""
    return cast(Drawing, importlib.import_module(f"analysis.figures.{name}"))


def of_study(results: pd.DataFrame) -> dict[str, Drawing]:
    """Return the figures of a study's results, keyed by name.

    Args:
        results: the tidy table, with the results file's metadata in `attrs`.
    """
    names = study_of(results).figures
    if "measured" in results and not results["measured"].fillna("").ne("").any():
        names = [name for name in names if name != "along_training"]
    if "over_steps" in names:  # it shows several places, and each of the others one
        several = len(places(results)) > 1
        names = [name for name in names if (name == "over_steps") == several]
    return {name: named(name) for name in names}
