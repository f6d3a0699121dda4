"""Grids of panels: those of one place beside each other, or a column of panels for each place."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.legend import framed, mark
from analysis.names import wrap
from analysis.page import Page
from analysis.rows import places

S = TypeVar("S")
T = TypeVar("T")

MOST_PLACES = 12
"""The most places that a figure shows."""

_NARROWEST = 1.6  # inches of a column
_LETTERS = 17  # of a title, to an inch
_LINE = 0.145  # inches of a line of a title

_OVER_PLACES = ", by mean rank over the panels"


def each_place(rows: pd.DataFrame, make: Callable[[pd.DataFrame], T]) -> dict[str, T]:
    """Return what a function makes of each place of a result table where something can be drawn.

    Args:
        rows: the table.
        make: the function; it raises ValueError if nothing can be drawn.

    Raises:
        ValueError: the first one of the function, if it raises one at each place.
    """
    return each_of(places(rows), make)


def each_of(parts: Mapping[str, S], make: Callable[[S], T]) -> dict[str, T]:
    """Return what a function makes of each part, as `each_place`."""
    found: dict[str, T] = {}
    errors = []
    for place, part in parts.items():
        try:
            found[place] = make(part)
        except ValueError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found


def joined(each: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the points of each place as one table; of several, with `place` in front."""
    if list(each) == [""]:
        return each[""]
    found = pd.concat([points.assign(place=place) for place, points in each.items()])
    found.insert(0, "place", found.pop("place"))
    return found.reset_index(drop=True)


def by_place(points: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the points of each place, in order; all of them as "" without a column `place`."""
    if "place" not in points:
        return {"": points}
    return {str(place): own for place, own in points.groupby("place", sort=False)}


def grid(
    page: Page,
    title: str,
    measured: Sequence[str],
    panels: Sequence[str],
    across: str,
    height: float,
    names: Sequence[Line2D],
    marks: Sequence[Line2D],
    sharex: bool = True,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with its title and legends, and the axes of each place.

    The panels of a single place, without a name, stand beside each other, as many as fit. Of
    several places, each has a column of panels under its name, and what does not fit beside the
    first continues below them.

    Args:
        page: the layout.
        title: title of the figure.
        measured: the names of the places.
        panels: the labels of the panels of a place.
        across: the label of the horizontal axis.
        height: height of a row of panels, in inches.
        names: legend entries of the estimators.
        marks: legend entries that explain kinds of marks.
        sharex: whether all share the horizontal axis, rather than those of one place.

    Raises:
        ValueError: if there are more than `MOST_PLACES`.
    """
    if len(measured) > MOST_PLACES:
        raise ValueError(
            f"{len(measured)} places are too many for one figure, which shows at most "
            f"{MOST_PLACES}; merge fewer results"
        )
    if list(measured) == [""]:
        beside = page.columns(len(panels))
        figure = framed(page, title, len(panels) // beside * height, names, marks)
        axes = figure.subplots(len(panels) // beside, beside, sharex=sharex, squeeze=False)
        for ax in axes[-1]:
            ax.set_xlabel(across)
        return figure, [list(axes.flat)]
    bands = math.ceil(len(measured) / max(1, int(page.width / _NARROWEST)))
    beside = math.ceil(len(measured) / bands)
    texts = [_wrapped(place, page.width / beside) for place in measured]
    lines = sum(
        max(text.count("\n") for text in texts[first : first + beside])
        for first in range(0, len(measured), beside)
    )
    down = len(panels)
    figure = framed(page, title, bands * down * height + lines * _LINE, names, marks)
    axes = figure.subplots(bands * down, beside, sharex=sharex, squeeze=False)
    columns = [list(column) for band in np.split(axes, bands) for column in band.T]
    for ax, below in (pair for column in columns * (not sharex) for pair in pairwise(column)):
        ax.sharex(below)
        ax.tick_params(axis="x", labelbottom=False)
    for ax in (ax for column in columns[len(measured) :] for ax in column):
        ax.remove()
    for number, (text, column) in enumerate(zip(texts, columns, strict=False)):
        column[0].set_title(text, fontsize=7)
        if number % beside == 0:
            for ax, label in zip(column, panels, strict=True):
                ax.set_ylabel(label)
        if number + beside >= len(measured):  # the lowest
            column[-1].set_xlabel(across)
            column[-1].tick_params(axis="x", labelbottom=True)
    return figure, columns[: len(measured)]


def _wrapped(place: str, width: float) -> str:
    return "\n".join(wrap(place, int(_LETTERS * (width - 0.3)))).replace("$", r"\$")


def ranked(points: pd.DataFrame, name: str, error: str) -> pd.Series:
    """Return the mean rank of each estimator's least error over the places.

    Errors at different true gradients are not comparable, but ranks are. What is missing at a
    place, or not finite, comes last there.

    Args:
        points: points of all places, in the order of the estimators; with `place` if several.
        name: the column that names an estimator.
        error: the column of errors.
    """
    place = points["place"] if "place" in points else pd.Series("", points.index)
    least = points.groupby([name, place], sort=False)[error].min().unstack()
    ranks = least.rank(method="min", na_option="bottom").mean(axis="columns")
    return ranks.reindex(points[name].unique()).rename(error)


def without_panel(measured: Iterable[str], drawn: Collection[str]) -> list[Line2D]:
    """Return a legend entry that lists the places that are not drawn, if any."""
    missing = [place for place in measured if place not in drawn]
    return [mark(f"no panel, for lack of finite values: {'; '.join(missing)}")] * bool(missing)


def rule(said: str, measured: Sequence[str]) -> str:
    """Return how the named estimators are chosen, from how they are at one place."""
    return f"{said}{_OVER_PLACES if len(measured) > 1 else ''}"
