"""Densities of Concrete variables by temperature."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import triangle
from analysis.figures.legend import framed, mark
from analysis.page import PAGE, Page
from analysis.rows import chosen
from analysis.style import COLOURS, LINES, paper

_COLUMNS = ("panel", "temperature", "x", "y", "value", "probability")
_TOP = 4.0  # higher densities are clipped


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `panel`, `temperature`, `x`, `y`, `value`. "simplex": the density at the coordinates x and
        y of the first two classes. "binary, ...": the density at x. "seven classes": the y-quantile
        of the coordinate of class x, whose `probability` is that in the categorical distribution.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    return chosen(rows, _COLUMNS)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw densities on the simplex and on (0, 1), and the coordinates of seven classes.

    Args:
        rows: the tidy table of `estimax figure densities`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    simplex = points[points["panel"] == "simplex"]
    seven = points[points["panel"] == "seven classes"]
    binary = [name for name in points["panel"].unique() if name.startswith("binary")]
    temperatures = sorted(seven["temperature"].unique())
    looks = {t: (COLOURS[i], LINES[i]) for i, t in enumerate(temperatures)}
    marks = [
        mark(rf"$\tau$ = {t:g}", color=colour, linestyle=line)
        for t, (colour, line) in looks.items()
    ]
    kinds = [
        mark("probability of the class", marker="s", color="0.85", markersize=8),
        mark("90 % of the samples", linestyle="-", linewidth=0.6),
        mark("middle 50 %", linestyle="-", linewidth=2),
        mark("simplex: weights 2, 0.5 and 1, each panel with its own scale"),
        mark("median", marker="_", color="black", markersize=4, markeredgewidth=1),
    ]
    with paper():
        figure = framed(page, "Concrete distributions by temperature", 4.2, marks, kinds)
        grid = figure.add_gridspec(2, 6, height_ratios=(0.85, 1))
        for i, temperature in enumerate(sorted(simplex["temperature"].unique())):
            ax = figure.add_subplot(grid[0, 2 * i : 2 * i + 2])
            _triangle(ax, simplex[simplex["temperature"] == temperature])
            ax.set_title(rf"simplex: $\tau$ = {temperature:g}", pad=10)
        for i, name in enumerate(binary):
            ax = figure.add_subplot(grid[1, 2 * i : 2 * i + 2])
            for temperature, part in points[points["panel"] == name].groupby("temperature"):
                colour, line = looks[temperature]
                ax.plot(part["x"], part["value"], color=colour, linestyle=line)
            ax.set(title=name, xlim=(0, 1), ylim=(0, _TOP), xlabel="value")
        _classes(figure.add_subplot(grid[1, 4:]), seven, looks)
        figure.axes[3].set_ylabel("density")
    return figure


def _triangle(ax: Axes, part: pd.DataFrame) -> None:
    values = part["value"].to_numpy(float)
    top = np.quantile(values, 0.98)
    levels = np.linspace(0, top, 16)
    ax.tricontourf(triangle.mesh(part), np.minimum(values, top), levels=levels, extend="max")
    triangle.outline(ax)


def _classes(ax: Axes, seven: pd.DataFrame, looks: dict) -> None:
    """Draw the median and the central 50 % and 90 % of every coordinate."""
    chances = seven.drop_duplicates("x")
    ax.bar(chances["x"], chances["probability"], color="0.85", width=0.95)
    for place, (temperature, part) in enumerate(seven.groupby("temperature")):
        wide = part.pivot(index="x", columns="y", values="value")
        x = wide.index + (place - (len(looks) - 1) / 2) * 0.2
        colour, _ = looks[temperature]
        columns = list(wide.columns)
        ax.vlines(x, wide[columns[0]], wide[columns[-1]], color=colour, linewidth=0.6)
        ax.vlines(x, wide[columns[1]], wide[columns[-2]], color=colour, linewidth=2)
        ax.plot(x, wide[columns[2]], "_", color="black", markersize=3)
    ax.set(title="seven classes", xlabel="class", ylabel="coordinate", ylim=(0, 1))
    ax.set_xticks(range(len(chances)), map(str, range(1, len(chances) + 1)))
