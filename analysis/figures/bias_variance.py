"""Squared bias against variance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.legend import entry, framed, hollow_mark, limit_mark, mark, not_drawn
from analysis.figures.marks import ROUNDING, decades, down_arrow
from analysis.rows import bracketed_notes
from analysis.style import Look, looks_of, paper
from analysis.tables.comparison import indistinguishable, measurements

_GREY = "0.75"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `estimator`, `method`, `unbiased`; `squared_bias` and `variance` with `_low` and `_high`;
        and how they are drawn: `bias_shown` is "estimate", "upper limit" or "zero",
        `variance_shown` is "estimate" or "zero", `has_interval`: whether both have an interval.

    Raises:
        ValueError: if the table is not one for `analysis.comparison_table`, or no estimator has
            both a finite squared bias and a finite variance.
    """
    lines = measurements(rows).frame
    columns = [m + s for m in ("squared_bias", "variance") for s in ("", "_low", "_high")]
    points = lines[["estimator", "method", "unbiased", *columns]]
    finite = np.isfinite(points["squared_bias"]) & np.isfinite(points["variance"])
    # A negative squared bias without an interval has no upper limit to draw.
    finite &= (points["squared_bias"] >= 0) | points["squared_bias_high"].notna()
    if not finite.any():
        why = bracketed_notes(rows, ("squared_bias", "variance"))
        raise ValueError(f"no estimator has both a finite squared_bias and a finite variance{why}")
    points = points[finite]

    limit = indistinguishable(points)
    height = points["squared_bias"].where(~limit, points["squared_bias_high"].fillna(0))
    zero = ROUNDING * max(height.max(), points["variance"].max())
    bias_shown = np.where(height <= zero, "zero", np.where(limit, "upper limit", "estimate"))
    variance_shown = np.where(points["variance"] <= zero, "zero", "estimate")
    points = points.assign(bias_shown=bias_shown, variance_shown=variance_shown)
    points["has_interval"] = points[["squared_bias_high", "variance_high"]].notna().all(axis=1)
    return points.reset_index(drop=True)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw squared bias against variance, in squared units of the gradient, on log-log axes.

    Bars are 95 % intervals; a squared bias that is not distinguishable from zero is an arrow down
    from its upper limit; grey lines join points of equal mean squared error; zeros lie on the
    axes; points without an interval are hollow.

    Args:
        rows: a tidy result table of one context with the metrics `squared_bias` and `variance`.

    Raises:
        ValueError: as `data`.
    """
    table, points = measurements(rows), data(rows)
    look = looks_of(points, "estimator")
    with paper():
        zeros = points[(points["bias_shown"] == "zero") & (points["variance_shown"] == "zero")]
        # Zeros overlap in the corner.
        labels = dict.fromkeys(zeros["estimator"], "{}: zero bias and variance")
        names = [entry(look[name], labels.get(name, "{}").format(name)) for name in look]
        left_out = table.frame.loc[~table.frame["estimator"].isin(points["estimator"]), "estimator"]
        marks = _marks(points) + not_drawn(left_out)
        figure = framed(table.heading, 3.1, names, marks)
        ax = figure.subplots()
        ax.set(xscale="log", yscale="log", xlabel="variance (trace)", ylabel="squared bias")
        _limits(ax, points)
        _equal_error(ax)
        for point in points.itertuples():
            _point(ax, point, look[str(point.estimator)])
    return figure


def _marks(points: pd.DataFrame) -> list[Line2D]:
    marks = [
        mark("equal mean squared error, one line per decade", color=_GREY, linestyle="-", lw=0.6),
        mark("95 % interval", marker="+", markersize=8, markeredgewidth=0.8),
    ]
    if (points["bias_shown"] == "upper limit").any():
        marks.append(limit_mark())
    if not points["has_interval"].all():
        marks.append(hollow_mark())
    if (points[["bias_shown", "variance_shown"]] == "zero").any(axis=None):
        marks.append(mark("on an axis: zero", marker="o"))
    return marks


def _limits(ax: Axes, points: pd.DataFrame) -> None:
    """Set limits that contain every point and interval; bars that reach zero are clipped."""
    limit = points["bias_shown"] == "upper limit"
    heights = points["squared_bias"].where(~limit, points["squared_bias_high"])
    for metric, values, shown, set_limits in (
        ("squared_bias", heights, points["bias_shown"], ax.set_ylim),
        ("variance", points["variance"], points["variance_shown"], ax.set_xlim),
    ):
        drawn = shown != "zero"
        if drawn.any():
            low, high = points.loc[drawn, f"{metric}_low"], points.loc[drawn, f"{metric}_high"]
            # A lower limit far below its value would stretch the axis.
            lowest = np.fmin(values[drawn], np.fmax(low, values[drawn] / 5)).min()
            set_limits(decades(lowest / 3, np.fmax(values[drawn], high).max() * 2))


def _equal_error(ax: Axes) -> None:
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    share = 1 / (1 + np.exp(-np.linspace(-40, 40, 400)))  # grid of biases, dense at both ends
    for decade in range(int(np.floor(np.log10(max(left, bottom)))), int(np.log10(right + top)) + 2):
        error = 10.0**decade
        ax.plot(error * (1 - share), error * share, color=_GREY, linewidth=0.6, zorder=0)
    ax.set(xlim=(left, right), ylim=(bottom, top))


def _point(ax: Axes, point, look: Look) -> None:
    x, y = point.variance, point.squared_bias
    bars = {"fmt": "none", "ecolor": look.colour, "elinewidth": 0.8}
    if point.variance_shown == "zero":
        x = ax.get_xlim()[0]
    if point.bias_shown == "zero":
        y = ax.get_ylim()[0]
    elif point.bias_shown == "upper limit":
        y = point.squared_bias_high
        down_arrow(ax, (x, y), look)
    else:
        reach = [[y - point.squared_bias_low], [point.squared_bias_high - y]]
        ax.errorbar(x, y, yerr=np.clip(reach, 0, None), **bars)
    if point.variance_shown == "estimate":
        reach = [[x - point.variance_low], [point.variance_high - x]]
        ax.errorbar(x, y, xerr=np.clip(reach, 0, None), **bars)
    on_axis = "zero" in (point.variance_shown, point.bias_shown)
    if not point.has_interval:
        look = look.hollow
    ax.plot(x, y, **look.marks(label=point.estimator, clip_on=not on_axis, zorder=3))
