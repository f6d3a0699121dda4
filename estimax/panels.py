"""The main panel of a figure, drawn into the user's own axes."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.style import Look, looks_of


class Panel(NamedTuple):
    """The columns that a panel shows of a figure's data.

    Attributes:
        by: the column that names a line.
        x: the column on the horizontal axis.
        y: the column on the vertical axis.
        low: the column of the lower end of y's 95 % interval.
        high: the column of its upper end.
        xlabel: the label of the horizontal axis.
        ylabel: the label of the vertical axis.
        scales: the scales of the axes.
    """

    by: str
    x: str
    y: str
    low: str
    high: str
    xlabel: str
    ylabel: str
    scales: tuple[str, str] = ("log", "log")


def _measured(by: str, x: str, y: str, xlabel: str, ylabel: str, xscale: str = "log") -> Panel:
    return Panel(by, x, y, f"{y}_low", f"{y}_high", xlabel, ylabel, (xscale, "log"))


_VARIANCE, _ERROR = "variance (trace)", "mean squared error"

PANELS = {
    "bias_variance": _measured("estimator", "variance", "squared_bias", _VARIANCE, "squared bias"),
    "error_cost": Panel("estimator", "budget", "error", "low", "high", "evaluations of f", _ERROR),
    "temperature": _measured("family", "temperature", "mse", "temperature", _ERROR),
    "over_steps": _measured("estimator", "step", "mse", "training step", _ERROR, "linear"),
    "training": Panel(
        "estimator", "step", "value", "low", "high", "training step", "loss", ("linear", "linear")
    ),
    "along_training": _measured(
        "measured", "step", "variance", "training step", _VARIANCE, "linear"
    ),
}
"""By the name of the figure."""


def draw(ax: Axes, name: str, points: pd.DataFrame, names: Mapping[str, str]) -> None:
    """Draw the main panel of a figure.

    Bands and bars are 95 % intervals. A squared bias that is not distinguishable from zero is a
    triangle at its upper limit. An estimator without a temperature is a horizontal line. Of
    several rows of panels, the first is drawn.

    Args:
        ax: the axes.
        name: the figure.
        points: the figure's data.
        names: labels of estimators; others are labelled by their full name.

    Raises:
        ValueError: for a figure without a main panel.
    """
    if name not in PANELS:
        raise ValueError(f"it cannot be drawn into axes; choose from {', '.join(PANELS)}")
    panel = PANELS[name]
    looks = looks_of(points, panel.by)
    if "panel" in points:  # of several, the first
        first = points["panel"].iloc[0]
        points, panel = points[points["panel"] == first], panel._replace(ylabel=str(first))
    for name in {"place", "trained_with"} & {*points}:  # likewise
        points = points[points[name] == points[name].iloc[0]]
    if "seed" in points and points["seed"].isna().any():  # the means, not runs that diverged
        points = points[points["seed"].isna()]
    xscale, yscale = panel.scales
    ax.set(xscale=xscale, yscale=yscale, xlabel=panel.xlabel, ylabel=panel.ylabel)
    for label, line in points.groupby(panel.by, sort=False):
        shown = names.get(str(label), str(label))
        _line(ax, panel, line.sort_values(panel.x), looks[str(label)], shown)


def _line(ax: Axes, panel: Panel, line: pd.DataFrame, look: Look, label: str) -> None:
    if panel is PANELS["bias_variance"]:
        _point(ax, line.iloc[0], look, label)
    elif line[panel.x].isna().all():
        ax.axhline(line[panel.y].iloc[0], color=look.colour, linestyle=look.line, label=label)
    else:
        ends = line[panel.low], line[panel.high]
        ax.fill_between(line[panel.x], *ends, color=look.colour, alpha=0.15, linewidth=0)
        every = max(1, len(line) // 6)
        style = look.marks(markevery=every, linestyle=look.line, label=label)
        ax.plot(line[panel.x], line[panel.y], **style)


def _point(ax: Axes, point: pd.Series, look: Look, label: str) -> None:
    is_limit = point["bias_shown"] == "upper limit"
    x, y = point["variance"], point["squared_bias_high" if is_limit else "squared_bias"]
    bars = {"ecolor": look.colour, "elinewidth": 0.8, "fmt": "none"}
    ax.errorbar(x, y, xerr=_reach(point, "variance"), **bars)
    if not is_limit:
        ax.errorbar(x, y, yerr=_reach(point, "squared_bias"), **bars)
    look = look._replace(marker="v") if is_limit else look
    ax.plot(x, y, **look.marks(linestyle="none", label=label))


def _reach(point: pd.Series, metric: str) -> np.ndarray:
    """Return the lengths of the bar below and above a value, zero without an interval."""
    value, low, high = (point[metric + end] for end in ("", "_low", "_high"))
    return np.nan_to_num(np.clip([[value - low], [high - value]], 0, None))
