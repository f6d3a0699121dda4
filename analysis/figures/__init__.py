"""Figures: in each module, `data(rows)` returns the plotted data and `draw(rows, page)` the figure.

If a figure has a main panel, `panel(ax, rows)` draws it into other axes. `pictures` has
`load(path)` and `draw(name, pictures)` instead. `labels`, `legend`, `marks`, `planes`,
`small_multiples`, `step_panels`, `traces` and `triangle` are shared components.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Collection
from typing import Protocol, runtime_checkable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.page import PAGE, Page
from analysis.rows import configuration, differing
from analysis.studies import study_of
from analysis.units import Against


@runtime_checkable
class Drawing(Protocol):
    """A module that draws a figure."""

    def data(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the plotted data."""
        ...

    def draw(self, rows: pd.DataFrame, page: Page = PAGE) -> Figure:
        """Return the figure, in a layout."""
        ...


@runtime_checkable
class WithPanel(Protocol):
    """A module whose figure has a main panel."""

    def panel(self, ax: Axes, rows: pd.DataFrame) -> None:
        """Draw it into axes."""
        ...


class _OfTraining(Protocol):
    """A module whose figure has a unit of the horizontal axis."""

    def data(self, rows: pd.DataFrame, against: Against = "steps") -> pd.DataFrame: ...

    def draw(self, rows: pd.DataFrame, page: Page = PAGE, against: Against = "steps") -> Figure: ...

    def panel(self, ax: Axes, rows: pd.DataFrame, against: Against = "steps") -> None: ...


@dataclasses.dataclass(frozen=True)
class _AgainstUnit:
    """A figure of training runs against a unit."""

    module: _OfTraining
    against: Against

    def data(self, rows: pd.DataFrame) -> pd.DataFrame:
        return self.module.data(rows, self.against)

    def draw(self, rows: pd.DataFrame, page: Page = PAGE) -> Figure:
        return self.module.draw(rows, page, self.against)

    def panel(self, ax: Axes, rows: pd.DataFrame) -> None:
        self.module.panel(ax, rows, self.against)


def named(name: str) -> Drawing:
    """Return the module that draws the named figure.

    Raises:
        ValueError: if there is none.
    """
    if name in {found.name for found in pkgutil.iter_modules(__path__)}:
        module = importlib.import_module(f"{__name__}.{name}")
        if isinstance(module, Drawing):
            return module
    raise ValueError(f"no module draws a figure {name!r}")


def of_study(results: pd.DataFrame, against: Against = "steps") -> dict[str, Drawing]:
    """Return the figures of a study's results, keyed by name.

    Args:
        results: the tidy table, with the results file's metadata in `attrs`.
        against: what training runs are drawn against; other figures do not depend on it.
    """
    about = configuration(results)
    if "drawn_by" in about:
        return {str(about["drawn_by"]): named(str(about["drawn_by"]))}
    names = study_of(results).figures
    if "measured" in results and not results["measured"].fillna("").ne("").any():
        names = [name for name in names if name != "along_training"]
    if "over_steps" in names:
        told_by = differing(results)
        # A plane of bias and variance shows one place, the error at equal cost also several.
        shown = ("error_cost",) if told_by else ("bias_variance", "error_cost")
        shown = ("over_steps",) if {"trained_with", "step"} & {*told_by} else shown
        shown += ("by_group",) if "group" in told_by else ()
        names = [name for name in names if name in (*shown, "coordinates")]
    if "coordinates" in names and not results["metric"].eq("coordinates").any():
        names = [name for name in names if name != "coordinates"]
    if "rank" in names and results["estimator"].nunique() < 2:
        names = [name for name in names if name != "rank"]
    return {name: _against(name, against) for name in names}


def _against(name: str, against: Against) -> Drawing:
    if name not in ("training", "rank") or against == "steps":
        return named(name)
    from analysis.figures import rank, training

    return _AgainstUnit(training if name == "training" else rank, against)


_NAMED_BY = ("estimator", "short_name", "method", "name")
_MEASURED_BY = ("measured", "measured_short_name")


def only(rows: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """Return the rows of the estimators with these names, for a figure of fewer estimators.

    Args:
        rows: the tidy table.
        names: full or short names of estimators, or of their classes; all rows if empty. Runs and
            what was measured during them are chosen apart: where none has such a name, all stay.

    Raises:
        ValueError: for a name that no estimator has; the message lists those of the table.
    """
    if not names:
        return rows
    along = rows["measured"].fillna("") != "" if "measured" in rows else rows.index != rows.index
    chosen = pd.Series(True, rows.index)
    missing = set(names)
    named_by = ("label",) if "label" in rows else _NAMED_BY  # of a published table
    for part, columns in ((rows[~along], named_by), (rows[along], _MEASURED_BY)):
        texts = part[[name for name in columns if name in part]]
        if "measured" in texts:
            texts = texts.assign(method=texts["measured"].fillna("").str.partition("[")[0])
        found = texts.isin(list(names)).any(axis="columns")
        missing -= set(texts[found].to_numpy().ravel())
        if "other" in part:  # of a predicted pair, both
            found &= part["other"].isna() | part["other"].isin([*names, ""])
        if found.any():
            chosen[part.index] = found
    if missing:
        shown = next(name for name in ("name", "label", "short_name", "estimator") if name in rows)
        known = rows[shown].dropna()
        listed = ", ".join(dict.fromkeys(known[known != ""].map(str)))
        raise ValueError(f"no estimator is called {', '.join(sorted(missing))}; there are {listed}")
    kept = rows[chosen]
    kept.attrs = rows.attrs
    return kept
