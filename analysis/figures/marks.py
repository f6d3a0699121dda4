"""Bands, arrows and logarithmic axes shared by figures."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.style import Look

# Values below this fraction of the largest one are rounding errors.
ROUNDING = 1e-12


def down_arrow(ax: Axes, at: tuple[float, float], look: Look) -> None:
    """Draw a downward arrow from an upper limit."""
    arrow = {
        "arrowstyle": "<|-,head_length=0.2,head_width=0.1",
        "color": look.colour,
        "linewidth": 0.7,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    ax.annotate("", at, (0, -11), "data", "offset points", arrow, zorder=2)


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


def label_decades(axis: Axis, at: Sequence[float]) -> None:
    """Label the multiples `at` of each power of ten on a logarithmic axis with plain numbers."""
    axis.set(major_locator=LogLocator(subs=at), major_formatter="{x:g}")
    axis.set_minor_formatter(NullFormatter())


def decades(low: float, high: float, least: float = 2.0) -> tuple[float, float]:
    """Return limits of a logarithmic axis, widened to at least `decades`."""
    missing = max(0.0, least - math.log10(high / low)) / 2
    return low / 10**missing, high * 10**missing
