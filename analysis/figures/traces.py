"""Curves of measured errors on a logarithmic axis, with intervals, upper limits and zeros."""

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.legend import bar_mark, limit_mark, mark
from analysis.figures.marks import ROUNDING, down_arrow, label_logarithms, limits
from analysis.style import Look
from analysis.tables.comparison import indistinguishable


def upper_limits(points: pd.DataFrame) -> pd.Series:
    """Return whether each squared bias is drawn as an upper limit."""
    return indistinguishable(points) & (points["squared_bias_high"] > 0)


def heights(points: pd.DataFrame, metric: str) -> pd.Series:
    """Return the plotted values of a metric: estimates, or upper limits of a squared bias.

    A negative estimate without an interval, which has no upper limit, is NaN: it is not zero.

    Args:
        points: with `<metric>`, `<metric>_low`, `<metric>_high` and `upper_limit`.
        metric: its name.
    """
    limit = points["upper_limit"] & (metric == "squared_bias")
    value, high = points[metric], points[f"{metric}_high"]
    return value.where(~limit, high).where((value >= 0) | high.notna())


def zeros(points: pd.DataFrame, metric: str) -> pd.Series:
    """Return whether each plotted value is zero up to rounding."""
    drawn = heights(points, metric)
    return drawn <= ROUNDING * drawn.max()


def marks(points: pd.DataFrame, metrics: Iterable[str], **zero) -> list[Line2D]:
    """Return legend entries for the marks used in curves of these metrics; `zero` styles zeros."""
    entries = [bar_mark()]
    if points["upper_limit"].any():
        entries.append(limit_mark())
    if any(zeros(points, metric).any() for metric in metrics):
        entries.append(mark("on the axis: zero", **{"linestyle": "-", "linewidth": 1.5} | zero))
    if any((heights(points, metric).isna() & points[metric].notna()).any() for metric in metrics):
        entries.append(mark("not drawn: negative estimates of a squared bias without an interval"))
    return entries


def set_heights(ax: Axes, points: pd.DataFrame, metric: str) -> None:
    """Set limits that contain every point and its interval, if that is not much longer."""
    drawn = heights(points, metric)
    positive = drawn > ROUNDING * drawn.max()
    if positive.any():
        ax.set_ylim(limits(points.assign(**{metric: drawn})[positive], metric))
        label_logarithms(ax.yaxis)


def trace(
    ax: Axes,
    points: pd.DataFrame,
    across: str,
    metric: str,
    look: Look,
    *,
    label: str,
    hollow: pd.Series | None = None,
) -> None:
    """Draw a metric against a column, with intervals as bars, upper limits as arrows.

    Args:
        ax: the axes, with limits set.
        points: points of one curve, in order, as for `heights`.
        across: the column on the horizontal axis.
        metric: its name.
        look: the style.
        label: label of the marks; of further ones, with an underscore before it.
        hollow: whether each marker is hollow; by default none is.
    """
    limit = points["upper_limit"] & (metric == "squared_bias")
    bottom = ax.get_ylim()[0]
    x, y = points[across], heights(points, metric).clip(lower=bottom)
    low, high = points[f"{metric}_low"].clip(lower=bottom), points[f"{metric}_high"]
    # Not a band, which a point between two upper limits would not have.
    ax.vlines(x[~limit], low[~limit], high[~limit], look.colour, linewidth=0.7)
    on_axis = bool((y <= bottom).all())
    thick = {"linewidth": 1.5, "clip_on": False} if on_axis else {}
    ax.plot(x, y.where(~limit), color=look.colour, linestyle=look.line, **thick)
    hollow = pd.Series(False, points.index) if hollow is None else hollow
    for some, drawn in ((~hollow, look), (hollow, look.hollow)):
        style = drawn.marks(linestyle="none", markersize=3.5, clip_on=not on_axis)
        if some.any():  # an empty unclipped line has its box at the origin, which breaks the layout
            ax.plot(x[some], y[some], **style, label=label)
            label = f"_{label.lstrip('_')}"  # once in a legend
    for at in zip(x[limit], y[limit], strict=True):
        down_arrow(ax, at, look)
