"""Results as objects: their numbers, their table and their figures."""

import dataclasses
import os
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import analysis
from analysis import figures, reading
from analysis.coordinates import coordinates
from analysis.page import Page
from analysis.studies import has_table, readable
from analysis.tables.comparison import Cost
from analysis.tables.difference import Difference, difference
from analysis.units import UNITS, Against
from experiments.command_line import existing
from experiments.command_line import merge as merging
from experiments.command_line.options import figure_width
from experiments.command_line.output import only as chosen
from experiments.command_line.output import terminal_width
from experiments.system.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The results of a study; a notebook shows their table.

    Attributes:
        frame: the tidy table, one row per metric of an estimator or a training run; settings and
            provenance are in its `attrs`.
        folder: the results folder; None if the results were not written.
        conclusion: the recommendation of a diagnosis, else "".
    """

    frame: pd.DataFrame
    folder: Path | None = None
    conclusion: str = ""

    def table(
        self,
        *,
        cost: Cost = "evaluations",
        against: Against = "steps",
        columns: Sequence[str] = (),
        sort: str | None = None,
    ) -> analysis.ReadableTable:
        """Return the readable table, which `analysis.to_latex` and others render.

        Args:
            cost: what costs are counted in, where estimators are compared at equal cost.
            against: what training runs are compared against: "steps", "evaluations" of f, or
                "seconds".
            columns: the columns after the names, by their fields; by default those of the command.
            sort: the column to sort by; by default as the command does.

        Raises:
            UsageError: if there is no such column or choice, or the study has figures only.
        """
        _check(against)
        try:
            return readable(self.frame, cost=cost, against=against, columns=columns, sort=sort)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def coordinates(self) -> pd.DataFrame:
        """Return mean, variance and true value of every coordinate of the gradients.

        They are kept by `compare` and `temperature` with `coordinates=True`. There is a line for
        each coordinate of each estimator and group, with `leaf`, the path of its array of
        parameters, `index`, its place in that array (flat, in row-major order), `mean`, `variance`
        and `truth`.

        Raises:
            UsageError: if they were not kept.
        """
        try:
            return coordinates(self.frame)
        except ValueError as error:
            raise UsageError(str(error)) from error

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of the figures that `plot` draws, the default first."""
        return tuple(figures.of_study(self.frame))

    def plot(
        self,
        name: str | None = None,
        *,
        ax: "Axes | None" = None,
        only: str | Sequence[str] = (),
        width: str | float = "text",
        titles: bool = True,
        against: Against = "steps",
    ) -> "Figure | Axes":
        """Draw a figure, as the command does, or its main panel into your own axes.

        Args:
            name: one of `figures`; by default the first.
            ax: axes to draw into, in their own style, without a legend: what the figure names has a
                label, for `ax.legend()`. By default, a new figure in the style of papers.
            only: the names or classes of the estimators to show; by default all.
            width: of a new figure: "column", "text" or inches.
            titles: whether a new figure has a title.
            against: what training runs are drawn against, as for `table`.

        Returns:
            The figure, or `ax`.

        Raises:
            UsageError: for an unknown name or width, if no value can be drawn, or if the figure has
                no panel of its own to be drawn into axes.
        """
        _check(against)
        known = figures.of_study(self.frame, against)
        name = next(iter(known), None) if name is None else name
        if name is None or name not in known:
            raise UsageError(f"no figure {name!r}; choose from {', '.join(known) or 'none'}")
        try:
            page = Page(figure_width(str(width)), titles)
        except ArgumentTypeError as error:
            raise UsageError(f"the width {error}") from error
        rows = chosen(self.frame, [only] if isinstance(only, str) else only)
        module = known[name]
        try:
            if ax is None:
                return module.draw(rows, page)
            if not isinstance(module, figures.WithPanel):
                raise UsageError(f"{name} has no main panel that can be drawn into axes")
            module.panel(ax, rows)
        except ValueError as error:
            raise UsageError(f"no figure {name}: {error}") from error
        return ax

    def __repr__(self) -> str:
        """Return the table as text."""
        if not has_table(self.frame):
            return repr(self.frame)
        return f"{analysis.to_text(self.table(), terminal_width())}\n{self.conclusion}".rstrip()

    def _repr_html_(self) -> str:
        if not has_table(self.frame):
            return self.frame.to_html(max_rows=20)
        return analysis.to_html(self.table(), self.conclusion)


def _check(against: str) -> None:
    if against not in UNITS:
        raise UsageError(f"no unit {against!r} to compare against; choose from {', '.join(UNITS)}")


def read(folder: str | os.PathLike[str]) -> Result:
    """Return the results in a folder, of `estimax` on the command line or in Python.

    Args:
        folder: the results folder.

    Raises:
        UsageError: if it holds no results, or damaged ones.
    """
    path = Path(folder)
    try:
        return Result(reading.read(path / reading.FILE), path)
    except (OSError, ValueError) as error:
        raise UsageError(f"no results in {path}: {error}") from error


def diff(a: str | os.PathLike[str] | Result, b: str | os.PathLike[str] | Result) -> Difference:
    """Return which rows of two results of a study differ by more than their errors.

    The same as `estimax diff`: the results of another seed, machine or version are compared row by
    row. `print` it; `frame` has the numbers, and `agree` is whether there is no difference.

    Args:
        a: a results folder or file, or the result of a function of this package.
        b: another one.

    Raises:
        UsageError: if one cannot be read, or they cannot be compared.
    """
    sides = [
        (each.frame, str(each.folder or name))
        if isinstance(each, Result)
        else (existing.read(Path(each)), os.fspath(each))
        for each, name in ((a, "A"), (b, "B"))
    ]
    try:
        return difference(sides[0][0], sides[1][0], (sides[0][1], sides[1][1]))
    except ValueError as error:
        raise UsageError(f"{sides[0][1]} and {sides[1][1]} cannot be compared: {error}") from error


def merge(
    *results: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    mixed: bool = False,
    force: bool = False,
) -> Result:
    """Return the results of several runs of a study, merged.

    The same as `estimax merge`: the runs may differ in their estimators, seeds, temperatures and
    the like, and those of `compare`, `temperature` and `estimax train` in their problem; then the
    figures have panels for each. What several have is kept once.

    Args:
        results: results folders or files.
        output: a results folder that is written; by default nothing is.
        mixed: whether runs of different code or versions may be merged.
        force: whether other results in the folder are replaced.

    Raises:
        UsageError: if one cannot be read, they differ in other settings or in the numbers of a row,
            or the folder cannot be used.
    """
    rows = merging.merged([Path(each) for each in results], mixed=mixed)
    if output is not None:
        merging.write(rows, Path(output), force=force)
    return Result(rows, None if output is None else Path(output))
