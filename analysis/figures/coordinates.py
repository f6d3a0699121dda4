"""Histograms of the standard deviation of the coordinates of a gradient."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.coordinates import coordinates
from analysis.figures.legend import entry, framed, mark, named, others_mark
from analysis.figures.marks import ROUNDING, decades, label_logarithms
from analysis.names import short_names, wrap
from analysis.page import PAGE, Page
from analysis.rows import families, places, shared, title
from analysis.style import GREY, Look, looks_of, paper

_BINS = 30
_HEIGHT = 2.0  # inches of a panel
_LONGEST_PLACE = 32  # letters
_X, _Y = "standard deviation", "share of coordinates"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        A line for each bin of the histogram of each estimator: `place`, the group, step and
        training run, where there are several; `estimator`, `short_name`, `method`; `low` and
        `high`, the ends of the bin, a standard deviation in units of the gradient; and `share`,
        that of the coordinates in it. The first line of each is that of the coordinates without
        variance, whose `low` and `high` are zero. Coordinates at several seeds are counted
        together.

    Raises:
        ValueError: if the moments of coordinates were not kept, or none is finite.
    """
    parts = places(rows)
    every = pd.concat(
        [coordinates(part).assign(place=place) for place, part in parts.items()], ignore_index=True
    )
    every = every[np.isfinite(every["variance"])]
    if every.empty:
        raise ValueError("no coordinate has a finite variance")
    by = ["place", "estimator", "method"]
    # What is below is the rounding of sums.
    largest = every.groupby(by, sort=False)["variance"].transform("max")
    variance = every["variance"].where(every["variance"] > ROUNDING * largest, 0.0)
    every = every.assign(spread=variance**0.5)
    drawn = every.loc[every["spread"] > 0, "spread"]
    low, high = (drawn.min(), drawn.max()) if len(drawn) else (0.1, 1.0)
    edges = np.geomspace(*decades(low / 1.01, high * 1.01, least=1), _BINS + 1)
    found = []
    for (place, estimator, method), part in every.groupby(by, sort=False):
        own, about = part["spread"], {"place": place, "estimator": estimator, "method": method}
        counts = (own == 0).sum(), *np.histogram(own[own > 0], edges)[0]
        ends = {"low": [0, *edges[:-1]], "high": [0, *edges[1:]]}
        shares = np.divide(counts, len(own))
        found.append(pd.DataFrame(about | ends | {"share": shares}))
    points = pd.concat(found, ignore_index=True)
    points.insert(2, "short_name", points["estimator"].map(short_names(rows)))
    return points if len(parts) > 1 else points.drop(columns="place")


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the histogram of the standard deviations of the coordinates of each estimator.

    The axis is logarithmic; a mark is at the top of each histogram, and one on the left axis is the
    share of the coordinates without variance, up to rounding. Each group, step and training run has
    its panel. At most 12 estimators are named, those of the least typical standard deviation; the
    others are grey.

    Args:
        rows: a tidy result table of a measurement with `--coordinates`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks, panels = _looks(rows, points), _panels(points)
    with paper():
        names = [entry(look, name, line=True) for name, look in looks.items()]
        marks = []
        if (_zeros(points)["share"] > 0).any():
            text = "on the left axis: the share of coordinates without variance"
            marks.append(mark(text, marker="o", markerfacecolor="white"))
        others = points["short_name"].nunique() - len(looks)
        marks += others_mark(others, "the least standard deviations")
        across = min(len(panels), page.columns(12))
        down = -(-len(panels) // across)
        figure = framed(page, title(rows, shared(rows)), _HEIGHT * down, names, marks)
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for ax in grid.flat[len(panels) :]:
            ax.set_axis_off()
        for ax, (place, own) in zip(grid.flat, panels.items(), strict=False):
            _panel(ax, own, looks)
            ax.set_title("\n".join(wrap(place, _LONGEST_PLACE)).replace("$", r"\$"))
            below = list(panels).index(place) + across
            ax.tick_params(labelbottom=True)
            ax.set_xlabel(_X if below >= len(panels) else "")
        for ax in grid[:, 0]:
            ax.set_ylabel(_Y)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the first panel into axes; named estimators have a label.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    _panel(ax, next(iter(_panels(points).values())), _looks(rows, points))
    ax.set(xlabel=_X, ylabel=_Y)


def _looks(rows: pd.DataFrame, points: pd.DataFrame) -> dict[str, Look]:
    # The mean on the logarithmic axis, and zeros first.
    bins = points[points["low"] > 0]
    middle = (bins["low"] * bins["high"]).transform(np.log) / 2 * bins["share"]
    names = points["short_name"].unique()
    total = bins.groupby("short_name")["share"].sum().reindex(names)
    mean = (middle.groupby(bins["short_name"]).sum().reindex(names) / total).where(total > 0)
    errors = pd.DataFrame({"noisy": total > 0, "mean": mean})
    return looks_of(points[points["short_name"].isin(named(errors))], "short_name", families(rows))


def _panels(points: pd.DataFrame) -> dict[str, pd.DataFrame]:
    if "place" not in points:
        return {"": points}
    return {str(place): own for place, own in points.groupby("place", sort=False)}


def _zeros(points: pd.DataFrame) -> pd.DataFrame:
    return points[points["high"] == 0]


def _panel(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    bins, zeros = points[points["high"] > 0], _zeros(points)
    edges = bins["low"].min(), bins["high"].max()
    ax.set(xscale="log", xlim=edges, ylim=(0, 1.05 * max(points["share"].max(), 0.1)))
    label_logarithms(ax.xaxis)
    for name, own in bins.groupby("short_name", sort=False):
        if name not in looks and own["share"].any():
            _steps(ax, own, color=GREY, linewidth=0.6, label="_", zorder=1)
    for name, look in looks.items():
        own = bins[bins["short_name"] == name]
        share = zeros.loc[zeros["short_name"] == name, "share"]
        label = name
        if own["share"].any():
            _steps(ax, own, color=look.colour, linestyle=look.line)
            top = own.nlargest(1, "share").iloc[0]
            middle = (top["low"] * top["high"]) ** 0.5
            style = look.marks(markersize=4, color=look.colour, linestyle=look.line)
            ax.plot([middle], [top["share"]], **style, label=label)
            label = f"_{name}"
        if (share > 0).any():
            style = look.hollow.marks(markersize=4, linestyle="none", clip_on=False)
            ax.plot([edges[0]], [share.max()], **style, label=label)


def _steps(ax: Axes, own: pd.DataFrame, **style) -> None:
    """Draw the outline of a histogram where it is not empty."""
    edges = np.append(own["low"].to_numpy(), own["high"].iloc[-1])
    ax.stairs(own["share"], edges, **style)
