"""Published numbers of a table compared with ours."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import framed, mark
from analysis.figures.marks import label_decades
from analysis.page import PAGE, Page
from analysis.style import COLOURS, paper
from analysis.tables.reproduction import reproduction_table

_LINE = 0.17  # inches per estimator
_ABOVE = 0.75  # inches for a panel's title and axis
_PUBLISHED = {"marker": "D", "markersize": 5.5, "markerfacecolor": "none"}
_OURS = {"marker": "o", "markersize": 3.5}
_COLUMNS = 2
_WIDE = 10  # the ratio of numbers beyond which their axis is logarithmic
_NARROW = 4.5  # inches, of a page for one column


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data: `analysis.reproduction_table` without the cells that were not run.

    Raises:
        ValueError: as for `analysis.reproduction_table`, or if no cell has been run.
    """
    table = reproduction_table(rows).frame
    drawn = table[table["ours"].notna()]
    if drawn.empty:
        raise ValueError("no cell of the table has been run")
    return drawn


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw published numbers and ours, with 95 % intervals, one panel per part of the table.

    Axis limits are set by the means; longer intervals are clipped. The axes are logarithmic if all
    numbers are positive, and differ by more than a factor of ten in some panel.

    Args:
        rows: the tidy table of `estimax reproduce`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    blocks = list(points["block"].unique())
    columns = min(_COLUMNS if page.width > _NARROW else 1, len(blocks))
    bands = [blocks[i : i + columns] for i in range(0, len(blocks), columns)]
    most = [max((points["block"] == block).sum() for block in band) for band in bands]
    heights = [_ABOVE + _LINE * count for count in most]
    marks = [mark("ours, with 95 % interval", color=COLOURS[0], **_OURS | {"linestyle": "-"})]
    if points["published"].notna().any():
        marks = [mark("published", color="0.25", linestyle="none", **_PUBLISHED), *marks]
    with paper():
        text = reproduction_table(rows).heading
        figure = framed(page, text, sum(heights), marks)
        panels = figure.subplots(
            len(bands), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for ax in panels.flat[len(blocks) :]:
            ax.set_visible(False)
        for ax, block in zip(panels.flat, blocks, strict=False):
            _panel(ax, block, points[points["block"] == block], _is_wide(points))
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the first block of the table into axes; both kinds of numbers have a label.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    block = points["block"].iloc[0]
    first = points[points["block"] == block]
    _panel(ax, block, first, _is_wide(first))
    for label, style in (("published", _PUBLISHED), ("ours", _OURS)):
        colour = "0.25" if style is _PUBLISHED else COLOURS[0]
        ax.plot([], [], color=colour, linestyle="none", label=label, **style)


def _is_wide(points: pd.DataFrame) -> bool:
    numbers = points.set_index("block")[["published", "ours"]].stack().groupby(level=0)
    return bool((numbers.min() > 0).all() and (numbers.max() > _WIDE * numbers.min()).any())


def _panel(ax: Axes, block: str, part: pd.DataFrame, logarithmic: bool) -> None:
    places = range(len(part), 0, -1)  # first row at the top, as in the table
    for place, (_, line) in zip(places, part.iterrows(), strict=True):
        ax.axhline(place, color="0.92", linewidth=0.6, zorder=0)
        ends = [line["ours_low"], line["ours_high"]]
        ax.plot(ends, [place, place], color=COLOURS[0], linewidth=1.4, solid_capstyle="butt")
        ax.plot(line["ours"], place, color=COLOURS[0], **_OURS)
        ax.plot(line["published"], place, color="0.25", linestyle="none", **_PUBLISHED)
    means = part[["published", "ours"]].to_numpy(float)
    low, high = np.nanmin(means), np.nanmax(means)
    ax.set(title=block, ylim=(0.4, len(part) + 0.6))
    if logarithmic:
        room = (high / low) ** 0.08 if high > low else 1.1
        ax.set(xscale="log", xlim=(low / room, high * room))
        label_decades(ax.xaxis, (1, 3) if high > _WIDE * low else (1, 2, 5))
    else:
        room = 0.08 * ((high - low) or abs(high) or 1.0)
        ax.set(xlim=(low - room, high + room))
    ax.set_xlabel(part["units"].iloc[0], labelpad=1)
    ax.set_yticks(list(places), part["label"])
    ax.tick_params(axis="y", length=0)
