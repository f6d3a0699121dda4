"""Loss of the relaxed and the discrete graph against temperature."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import bar_mark, entry, framed, mark
from analysis.figures.marks import label_decades
from analysis.page import PAGE, Page
from analysis.rows import check, families
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import DOTS, Look, looks, paper

_COLUMNS = ("problem", "data", "method", "temperature", "graph", "steps", "seed", "value")
GAP = "discrete - continuous"
_RELAXED = "continuous graph"


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


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the negative log-likelihood of both graphs, and the gap between them.

    Args:
        rows: the tidy table of `estimax figure integrality-gap`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points, first = data(rows), rows.iloc[0]
    look = _looks(rows)
    with paper():
        seeds = points["seeds"].max()
        across = page.columns(2)
        several = f"{seeds} seeds" if seeds > 1 else "one seed"
        bars = "95 % interval of the mean over seeds" if seeds >= FEWEST else f"mean of {several}"
        run = f"{first['problem']}, trained by {first['method']}, {first['steps']:,} steps"
        figure = framed(
            page,
            f"{run}, {several}",
            2.3 * (2 // across),
            [entry(each, name, line=True) for name, each in look.items()],
            [bar_mark(bars) if seeds >= FEWEST else mark(bars)],
        )
        both, gap = figure.subplots(2 // across, across, squeeze=False).flat
        _losses(both, points, look)
        both.set_title("test images")
        _curve(gap, points[points["curve"] == GAP], Look("#444444", "D"))
        # Linear near zero, where the gap is smaller than its error.
        gap.set_yscale("symlog", linthresh=1)
        gap.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        gap.yaxis.set_major_formatter("{x:g}")
        gap.set(title="integrality gap: discrete - continuous", ylabel="nats")
        gap.set(xscale="log", xlabel="temperature")
        label_decades(gap.xaxis, (1, 3))
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the losses of both graphs into axes; both have a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    _losses(ax, data(rows), _looks(rows))


def _looks(rows: pd.DataFrame) -> dict[str, Look]:
    method = str(rows["method"].iloc[0])
    graphs: dict[str, str] = {_RELAXED: method, "discrete graph": method}
    found = looks(graphs, families(rows))
    return found | {_RELAXED: found[_RELAXED]._replace(line=DOTS)}


def _losses(ax: Axes, points: pd.DataFrame, look: Mapping[str, Look]) -> None:
    for name, each in look.items():
        part = points[points["curve"] == name.partition(" ")[0]]
        _curve(ax, part, each, name)
    ax.set(xscale="log", yscale="log", xlabel="temperature", ylabel="-log p, one path (nats)")
    label_decades(ax.xaxis, (1, 3))
    label_decades(ax.yaxis, (1, 2, 5))


def _curve(ax: Axes, part: pd.DataFrame, look: Look, label: str = "_") -> None:
    x = part["temperature"]
    if (part["seeds"] >= FEWEST).all():
        ax.vlines(x, part["low"], part["high"], look.colour, linewidth=0.7)
    ax.plot(x, part["value"], linestyle=look.line, **look.marks(markersize=3, label=label))
