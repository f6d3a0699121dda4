"""Loss of the relaxed and the discrete graph against temperature."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import band_mark, entry, framed
from analysis.figures.marks import band, label_decades
from analysis.rows import check
from analysis.statistics.seeds import over_seeds
from analysis.style import Look, looks, paper

_COLUMNS = ("problem", "data", "method", "temperature", "graph", "steps", "seed", "value")
GAP = "discrete - continuous"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `temperature`; `curve`: the "continuous" graph, the "discrete" one, or their difference,
        paired by seed; `value`, `low`, `high`: mean over `seeds` in nats, with its 95 % interval.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    wide = rows.pivot(index=["temperature", "seed"], columns="graph", values="value")
    wide[GAP] = wide["discrete"] - wide["continuous"]
    curves = ["continuous", "discrete", GAP]
    long = wide[curves].melt(var_name="curve", ignore_index=False).reset_index()
    long = long.assign(low=np.nan, high=np.nan)
    return over_seeds(
        long.sort_values("temperature", kind="stable"), ["curve", "temperature"]
    ).reset_index()


def draw(rows: pd.DataFrame) -> Figure:
    """Draw the negative log-likelihood of both graphs, and the gap between them.

    Args:
        rows: the tidy table of `estimax figure integrality-gap`.

    Raises:
        ValueError: as `data`.
    """
    points, first = data(rows), rows.iloc[0]
    look = looks(dict.fromkeys(("continuous graph", "discrete graph"), str(first["method"])))
    continuous, discrete = look.values()
    with paper():
        seeds = points["seeds"].max()
        title = (
            f"{first['problem']}, {first['data']}, trained by {first['method']}, "
            f"{first['steps']:,} steps, {seeds} seeds"
        )
        figure = framed(
            title,
            2.5,
            [entry(each, name, line=True) for name, each in look.items()],
            [band_mark("95 % interval of the mean over seeds")],
        )
        both, gap = figure.subplots(1, 2)
        _curve(both, points[points["curve"] == "continuous"], continuous)
        _curve(both, points[points["curve"] == "discrete"], discrete)
        _curve(gap, points[points["curve"] == GAP], Look("#444444", "D"))
        both.set(yscale="log", title="test images", ylabel="-log p, one path (nats)")
        label_decades(both.yaxis, (1, 2, 5))
        # Linear near zero, where the gap is smaller than its error.
        gap.set_yscale("symlog", linthresh=1)
        gap.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        gap.yaxis.set_major_formatter("{x:g}")
        gap.set(title="integrality gap: discrete - continuous", ylabel="nats")
        for ax in (both, gap):
            ax.set(xscale="log", xlabel="temperature")
            label_decades(ax.xaxis, (1, 3))
    return figure


def _curve(ax: Axes, part: pd.DataFrame, look: Look) -> None:
    x = part["temperature"]
    band(ax, x, part["low"], part["high"], look.colour)
    ax.vlines(x, part["low"], part["high"], look.colour, linewidth=0.7)
    ax.plot(x, part["value"], linestyle=look.line, **look.marks(markersize=3))
