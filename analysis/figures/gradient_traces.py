"""Gradients, probability and objective during the training of one bit."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.legend import entry, framed
from analysis.page import PAGE, Page
from analysis.rows import chosen, families
from analysis.style import looks_of, paper

_COLUMNS = ("p0", "name", "estimator", "method", "metric", "step", "value")
_METRICS = ("gradient", "probability", "objective")
_MARKS = 4  # to a curve


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data: `value` of each `metric` at each `step`, by `p0` and `name`.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    return chosen(rows, _COLUMNS)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw traces of gradient, probability and objective, one row per p0.

    Args:
        rows: the tidy table of `estimax figure gradient-traces`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    targets = list(points["p0"].unique())
    look, names = looks_of(points, "name", families(rows)), points["name"].unique()
    with paper():
        entries = [entry(look[name], name, line=True) for name in names]
        figure = framed(
            page,
            r"Gradient ascent on E $(z - p_0)^2$: the optimum is 1 if $p_0$ < 0.5, else 0",
            1.25 * len(targets) + 0.3,
            entries,
        )
        panels = figure.subplots(len(targets), len(_METRICS), sharex=True, squeeze=False)
        for row, target in zip(panels, targets, strict=True):
            for ax, metric in zip(row, _METRICS, strict=True):
                part = points[(points["p0"] == target) & (points["metric"] == metric)]
                for number, name in enumerate(names):
                    line = part[part["name"] == name].sort_values("step")
                    # Staggered, so that coinciding lines are visible.
                    every = max(1, len(line) // _MARKS)
                    marks = {"markevery": (number * every // len(names), every), "markersize": 3}
                    style = look[name].marks(linestyle=look[name].line, linewidth=0.8, **marks)
                    ax.plot(line["step"], line["value"], **style)
                if metric == "probability":
                    ax.set_ylim(-0.03, 1.03)
            row[0].set_ylabel(f"$p_0$ = {target:g}")
        for ax, metric in zip(panels[0], _METRICS, strict=True):
            ax.set_title(metric)
        for ax in panels[-1]:
            ax.set_xlabel("step")
    return figure
