"""Mean ranks of the atlas, with their uncertainty."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import atlas
from analysis.figures.legend import bar_mark, framed, mark
from analysis.page import PAGE, Page
from analysis.rows import families, is_complete
from analysis.style import looks_of, paper

_ROW = 0.125  # inches
_ROOM = 0.65  # inches of the axis and the title
_NARROWEST = 4.5  # inches for two panels beside each other


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ranks, as `analysis.atlas.ranked`.

    Raises:
        ValueError: as `analysis.atlas.cells`.
    """
    return atlas.ranked(atlas.cells(rows))


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the mean rank of each estimator over the points, unbiased and biased ones apart.

    Args:
        rows: the tidy table of `estimax atlas`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    lines = data(rows)
    kinds = {kind: own for kind, own in lines.groupby("kind", sort=False)}
    beside = page.width >= _NARROWEST and len(kinds) > 1
    heights = [_ROW * len(own) + _ROOM for own in kinds.values()]
    with paper():
        title = "" if is_complete(rows) else "run not complete: "
        title += "Mean rank over the points: the share of its kind that is better"
        marks = [
            bar_mark("95 % interval (bootstrap over problems)"),
            mark("in brackets: points where it is compared"),
        ]
        height = max(heights) if beside else sum(heights)
        figure = framed(page, title, height, [], marks)
        shape = (1, len(kinds)) if beside else (len(kinds), 1)
        axes = figure.subplots(*shape, squeeze=False, height_ratios=None if beside else heights)
        for ax, (kind, own) in zip(axes.flat, kinds.items(), strict=True):
            _draw(ax, own, rows)
            ax.set_title(kind)
        for ax in axes[-1]:
            ax.set_xlabel("mean rank (0: the best)")
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the ranks of the unbiased estimators into axes.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    lines = data(rows)
    _draw(ax, lines[lines["kind"] == lines["kind"].iloc[0]], rows)
    ax.set_xlabel("mean rank (0: the best)")


def _draw(ax: Axes, lines: pd.DataFrame, rows: pd.DataFrame) -> None:
    looks = looks_of(lines, "short_name", families(rows))
    ranks = lines[["rank", "rank_low", "rank_high"]].to_numpy(float)
    for place, (name, (rank, low, high)) in enumerate(zip(lines["short_name"], ranks, strict=True)):
        ax.hlines(place, low, high, looks[name].colour, linewidth=0.8)
        ax.plot(rank, place, **looks[name].marks(linestyle="none", markersize=3.5))
    names = [f"{one.short_name} ({one.points})" for one in lines.itertuples()]
    ax.set_yticks(range(len(lines)), [name.replace("$", r"\$") for name in names], fontsize=5.5)
    ax.tick_params(axis="y", length=0, pad=1.5)
    ax.set(xlim=(-0.03, 1.03), ylim=(len(lines) - 0.5, -0.5))
