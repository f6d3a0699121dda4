"""Axis limits and arrows shared by several figures."""

import math

from matplotlib.axes import Axes

from analysis.style import Look

# Values below this share of the largest one are rounding.
ROUNDING = 1e-12


def down_arrow(ax: Axes, at: tuple[float, float], look: Look) -> None:
    """Draw an arrow down from a point, which is an upper limit."""
    arrow = {
        "arrowstyle": "<|-,head_length=0.2,head_width=0.1",
        "color": look.colour,
        "linewidth": 0.7,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    ax.annotate("", at, (0, -11), "data", "offset points", arrow, zorder=2)


def decades(low: float, high: float, least: float = 2.0) -> tuple[float, float]:
    """Return limits of a logarithmic axis, widened to at least so many decades."""
    missing = max(0.0, least - math.log10(high / low)) / 2
    return low / 10**missing, high * 10**missing
