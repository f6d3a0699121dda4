"""Bands, arrows and logarithmic axes shared by figures."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.style import Look

_ROOM = 1.6  # around the values on a logarithmic axis
_LONGEST_BAR = 5.0  # how far from its value a bar may reach before it is cut

# Values below this fraction of the largest one are rounding errors.
ROUNDING = 1e-12


def down_arrow(ax: Axes, at: tuple[float, float], look: Look) -> None:
    """Draw a downward arrow from an upper limit."""
    _arrow(ax, at, look, (0, -11))


def left_arrow(ax: Axes, at: tuple[float, float], look: Look) -> None:
    """Draw an arrow to the left from an upper limit."""
    _arrow(ax, at, look, (-11, 0))


def _arrow(ax: Axes, at: tuple[float, float], look: Look, by: tuple[float, float]) -> None:
    """Draw an arrow from an upper limit, `by` points across and up."""
    style = {
        "arrowstyle": "<|-,head_length=0.2,head_width=0.1",
        "color": look.colour,
        "linewidth": 0.7,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    ax.annotate("", at, by, "data", "offset points", style, zorder=2)


def band(
    ax: Axes,
    x: pd.Series,
    low: pd.Series,
    high: pd.Series,
    colour: str,
    where: pd.Series | None = None,
) -> None:
    """Draw a band between two curves, restricted to `where` if given."""
    ax.fill_between(x, low, high, where, color=colour, alpha=0.15, linewidth=0)


def label_logarithms(axis: Axis) -> None:
    """Label a logarithmic axis of fewer than two decades with plain numbers, also within one."""
    low, high = axis.get_view_interval()
    if high < 100 * low:
        label_decades(axis, (1, 3))


def label_decades(axis: Axis, at: Sequence[float]) -> None:
    """Label the multiples `at` of each power of ten on a logarithmic axis with plain numbers."""
    axis.set(major_locator=LogLocator(subs=at), major_formatter="{x:g}")
    axis.set_minor_formatter(NullFormatter())


def decades(low: float, high: float, least: float = 2.0) -> tuple[float, float]:
    """Return limits of a logarithmic axis, widened to at least `decades`."""
    missing = max(0.0, least - math.log10(high / low)) / 2
    return low / 10**missing, high * 10**missing


def limits(points: pd.DataFrame, metric: str, least: float = 1.0) -> tuple[float, float]:
    """Return limits of a logarithmic axis that contain a metric's values and their bars.

    A bar that ends far from its value, such as Student's of two seeds, is cut: it would leave no
    room for the points.

    Args:
        points: with `<metric>`, which is positive, `<metric>_low` and `<metric>_high`.
        metric: its name.
        least: the least number of decades.
    """
    values = points[metric]
    low, high = points[f"{metric}_low"], points[f"{metric}_high"]
    lowest = np.fmin(values, np.fmax(low, values / _LONGEST_BAR)).min()
    highest = np.fmax(values, np.fmin(high, values * _LONGEST_BAR)).max()
    return decades(lowest / _ROOM, highest * _ROOM, least)


def below(ax: Axes, share: float) -> Axes:
    """Return new axes below others, which give up some of their room, as for a colour bar.

    They share the horizontal axis, whose labels move to the new ones.

    Args:
        ax: the axes.
        share: the height of the new ones, as a multiple of what is left to `ax`.
    """
    figure = ax.get_figure()
    assert figure is not None
    if spec := ax.get_subplotspec():
        grid = spec.subgridspec(2, 1, height_ratios=(1, share))
        ax.set_subplotspec(grid[0])
        new = figure.add_subplot(grid[1], sharex=ax)
    else:
        box, gap = ax.get_position(original=True), 0.1
        high = box.height * (1 - gap) / (1 + share)
        ax.set_position((box.x0, box.y1 - high, box.width, high))
        new = figure.add_axes((box.x0, box.y0, box.width, share * high), sharex=ax)
    new.set_xlabel(ax.get_xlabel())
    ax.set_xlabel("")
    ax.tick_params(axis="x", which="both", labelbottom=False)
    return new
