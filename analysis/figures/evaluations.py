"""Variance against the number of evaluations of f."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import bar_mark, entry, framed, mark
from analysis.page import PAGE, Page
from analysis.rows import check, families
from analysis.style import Look, looks_of, paper

_COLUMNS = ("name", "method", "logit", "evaluations", "metric", "value", "low", "high")
_ZERO = 1e-12  # smaller variances are rounding errors
_ASIDE = 0.12  # offset, in evaluations, between arrows that would overlap


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data: `variance` of each `name` at each `logit`, with `low` and `high`.

    `is_zero`: whether the variance is zero up to rounding.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    points = rows.loc[rows["metric"] == "variance", list(_COLUMNS)].drop(columns="metric")
    points = points.rename(columns={"value": "variance"}).reset_index(drop=True)
    return points.assign(is_zero=points["variance"] < _ZERO)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw variance against evaluations on a logarithmic axis, one panel per logit.

    An arrow down marks zero variance.

    Args:
        rows: the tidy table of `estimax figure variance-by-evaluations`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    look = _looks(rows, points)
    with paper():
        entries = [entry(look[name], name, line=True) for name in look]
        logits = list(points["logit"].unique())
        across = page.columns(len(logits))
        down = len(logits) // across
        figure = framed(
            page,
            "Three bits with equal logits, f = sum of squared distances",
            2.3 * down,
            entries,
            [bar_mark(), mark("zero variance", marker=r"$\downarrow$", markersize=6)],
        )
        panels = figure.subplots(down, across, squeeze=False).flat
        for ax, logit in zip(panels, logits, strict=True):
            _panel(ax, points[points["logit"] == logit], look)
            ax.set_title(f"logit {logit:g}")
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the first logit into axes; every estimator has a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    first = points["logit"].iloc[0]
    _panel(ax, points[points["logit"] == first], _looks(rows, points))


def _looks(rows: pd.DataFrame, points: pd.DataFrame) -> dict[str, Look]:
    # With one evaluation an estimator may reduce to a simpler one.
    most = points.sort_values("evaluations").drop_duplicates("name", keep="last")
    found = looks_of(most, "name", families(rows))
    return {name: found[name] for name in points["name"].unique()}


def _panel(ax: Axes, own: pd.DataFrame, look: Mapping[str, Look]) -> None:
    floor = own.loc[~own["is_zero"], "variance"].min() / 30
    for number, name in enumerate(look):
        part = own[own["name"] == name].sort_values("evaluations")
        seen, colour = part[~part["is_zero"]], look[name].colour
        x, low, high = seen["evaluations"], seen["low"], seen["high"]
        ax.vlines(x, low, high, colour, linewidth=0.7)
        style = look[name].marks(linestyle=look[name].line, label=name)
        ax.plot(x, seen["variance"], **style)
        aside = _ASIDE * (number - (len(look) - 1) / 2)
        for count in part.loc[part["is_zero"], "evaluations"]:
            ax.plot(
                count + aside, floor, color=colour, marker=r"$\downarrow$", markersize=7, label="_"
            )
    counts = sorted(own["evaluations"].unique())
    ax.set(xlabel="evaluations of f", ylabel="variance", yscale="log", xticks=counts)
