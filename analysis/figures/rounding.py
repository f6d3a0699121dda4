"""What refining latent vectors before they are rounded gains, by estimator."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import bar_mark, entry, framed, mark
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.statistics.seeds import over_seeds
from analysis.style import GREY_LOOK, Look, looks, paper

_COLUMNS = ("problem", "name", "method", "number", "learning_rate", "step", "metric", "value")
_ENDS, _CURVES = "end", "curve"
_SHOWN = 6
"""The most curves with a name."""


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data, each at the learning rate whose last mean gap is least.

    Returns:
        `panel` "end": the mean over `images` of the final gap of each `name`, with its 95 %
        interval, `low` and `high`. "curve": the mean gap at each `step`.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    rows = without_predictions(rows)
    rows = rows.assign(method=rows["method"].fillna(""), learning_rate=rows["learning_rate"])
    ends = rows[rows["number"].notna()].assign(low=np.nan, high=np.nan)
    mean = over_seeds(ends, ["name", "method", "learning_rate"]).reset_index()
    best = mean.loc[mean.groupby("name", sort=False)["value"].idxmin()]
    best = best.rename(columns={"seeds": "images"}).assign(panel=_ENDS)
    curves = rows[rows["number"].isna()].merge(best[["name", "learning_rate"]])
    curves = curves.sort_values("step", kind="stable").assign(panel=_CURVES)
    columns = ["panel", "name", "method", "learning_rate", "step", "images", "value", "low", "high"]
    parts = [part.dropna(axis="columns", how="all") for part in (best, curves)]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the final gap of each estimator, and the mean gap during refinement.

    Args:
        rows: the tidy table of `estimax figure rounding`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    ends = _sorted(points)
    look = _looks(rows, ends)
    wide = page.columns(2) == 2
    below = 0.5 + 0.17 * len(ends)
    with paper():
        named = [name for name in ends["name"] if name in set(_named(points))]
        figure = framed(
            page,
            "Bits above the best of all roundings of the encoder's latent vector",
            max(2.2, below) if wide else 2.0 + below,
            [entry(look[name], name, line=True) for name in named],
            [bar_mark(), mark(f"{ends['images'].max():g} images")],
        )
        one, two = figure.subplots(
            *((1, 2) if wide else (2, 1)), height_ratios=None if wide else [below, 2.0]
        )
        _ends(one, ends, look)
        _curves(two, points, look)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the final gaps into axes.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    ends = _sorted(data(rows))
    _ends(ax, ends, _looks(rows, ends))


def _sorted(points: pd.DataFrame) -> pd.DataFrame:
    return points[points["panel"] == _ENDS].sort_values("value", kind="stable")


def _named(points: pd.DataFrame) -> list[str]:
    """Return the names of the curves in colour: those that end lowest."""
    curves = points.loc[points["panel"] == _CURVES, "name"].unique()
    return [name for name in _sorted(points)["name"] if name in curves][:_SHOWN]


def _looks(rows: pd.DataFrame, ends: pd.DataFrame) -> dict[str, Look]:
    # What is no estimator is its own method.
    methods = ends["method"].where(ends["method"] != "", ends["name"])
    known = families(rows.dropna(subset="method"))
    return looks(dict(zip(ends["name"], methods, strict=True)), known)


def _ends(ax: Axes, ends: pd.DataFrame, look: dict[str, Look]) -> None:
    places = np.arange(1, len(ends) + 1)
    for place, one in zip(places, ends.to_dict("records"), strict=True):
        style = look[one["name"]]
        ax.hlines(place, one["low"], one["high"], style.colour, linewidth=0.8)
        marks = style.marks(markersize=3.5, linestyle="none", label=one["name"])
        ax.plot(one["value"], place, **marks)
    ax.axvline(0, color="0.6", linewidth=0.6, zorder=0)
    ax.set_yticks(places, ends["name"])
    ax.set_ylim(len(ends) + 0.5, 0.5)
    ax.set(title="in the end", xlabel="gap (bits)")


def _curves(ax: Axes, points: pd.DataFrame, look: dict[str, Look]) -> None:
    named = _named(points)
    curves = points[points["panel"] == _CURVES]
    for name, part in curves.groupby("name", sort=False):
        style = look[str(name)] if name in named else GREY_LOOK._replace(marker="")
        marks = style.marks(markersize=2.5, linewidth=0.9, zorder=3 if name in named else 1)
        ax.plot(part["step"], part["value"], linestyle=style.line, label=name, **marks)
    ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    ax.set(title="during refinement", xlabel="step", ylabel="gap (bits)")
