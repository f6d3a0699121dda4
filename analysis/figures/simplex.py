"""A quantity over the simplex of three classes."""

import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from analysis.figures import triangle
from analysis.figures.legend import framed, mark
from analysis.page import PAGE, Page
from analysis.rows import chosen
from analysis.style import paper

_COLUMNS = ("temperature", "x", "y", "metric", "value", "inner")


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data: `temperature`, probabilities `x` and `y` of two classes, `value`.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    return chosen(rows, _COLUMNS)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the ratio of variances over the simplex, one panel per temperature.

    Args:
        rows: the tidy table of `estimax figure gumbel-rao-simplex`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    temperatures = list(points["temperature"].unique())
    inner = points["inner"].iloc[0]
    most = points["value"].abs().max()
    norm = TwoSlopeNorm(0.0, -most, most)
    with paper():
        title = f"Variance of straight-through Gumbel-softmax / Gumbel-Rao with {inner} samples"
        note = mark("lines inside the triangles: f has a pole where two probabilities sum to 1/3")
        figure = framed(page, title, 2.0, [], [note])
        panels = figure.subplots(1, len(temperatures), squeeze=False)[0]
        drawn = []
        for ax, temperature in zip(panels, temperatures, strict=True):
            part = points[points["temperature"] == temperature]
            mesh, values = triangle.mesh(part), part["value"].to_numpy(float)
            drawn.append(ax.tripcolor(mesh, values, cmap="PuOr_r", norm=norm, shading="gouraud"))
            triangle.outline(ax)
            ax.set_title(rf"$\tau$ = {temperature:g}", pad=10)
        bar = figure.colorbar(drawn[0], ax=panels, shrink=0.8, pad=0.01, label="log10 of the ratio")
        bar.ax.set_ylim(min(0.0, points["value"].min()), most)
    return figure
