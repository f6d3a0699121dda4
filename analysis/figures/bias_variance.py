"""Squared bias against variance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import formats
from analysis.figures import labels
from analysis.figures.legend import (
    MOST_NAMED,
    entry,
    framed,
    hollow_mark,
    mark,
    not_drawn,
    others_mark,
)
from analysis.figures.marks import ROUNDING, below, label_logarithms, limits
from analysis.page import PAGE, Page
from analysis.rows import bracketed_notes, families, title
from analysis.style import GREY_LOOK, Look, lay_out, looks_of, paper
from analysis.tables.comparison import indistinguishable, measurements

_EQUAL = "0.85"
_PLANE = 2.1  # inches of the plane of both errors
_AROUND = 0.75  # of labels and titles of the axes
_ROW = 0.135  # of a named estimator on the strip
_GREY_ROW = 0.045
_ENDS = 0.1
_ZEROS = "{}: zero variance"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `estimator`, `short_name`, `method`, `unbiased`; `squared_bias` and `variance` with `_low`
        and `_high`; and how they are drawn: `bias_shown` is "estimate" in the plane, and on the
        strip "upper limit" (which is `squared_bias_high`) or "zero"; `variance_shown` is "estimate"
        or "zero"; `has_interval`: whether both have an interval; `frontier`: whether no other has
        both a smaller bias and a smaller variance, where a bias on the strip counts as zero and
        estimators without error do not count; `labelled`: whether the figure names it. At most 12
        are: those without error, the frontier, and those of the least error at equal cost.

    Raises:
        ValueError: if the table is not one for `analysis.comparison_table`, or no estimator has
            both a finite squared bias and a finite variance.
    """
    return _points(measurements(rows).frame, rows)


def _points(lines: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what is plotted of the measurements of some rows, as `data`."""
    columns = [m + s for m in ("squared_bias", "variance") for s in ("", "_low", "_high")]
    points = lines[["estimator", "short_name", "method", "unbiased", *columns]]
    # What has no error at equal cost, for lack of a budget, is ranked by that of one gradient.
    each = points["squared_bias"].clip(lower=0) + points["variance"]
    error = lines["equal_cost_error"].fillna(each)
    finite = np.isfinite(points["squared_bias"]) & np.isfinite(points["variance"])
    # A negative squared bias without an interval has no upper limit.
    finite &= (points["squared_bias"] >= 0) | points["squared_bias_high"].notna()
    if not finite.any():
        why = bracketed_notes(rows, ("squared_bias", "variance"))
        raise ValueError(f"no estimator has both a finite squared_bias and a finite variance{why}")
    points = points[finite]

    limit = indistinguishable(points)
    height = points["squared_bias"].where(~limit, points["squared_bias_high"].fillna(0))
    zero = ROUNDING * max(height.max(), points["variance"].max())
    bias_shown = np.where(height <= zero, "zero", np.where(limit, "upper limit", "estimate"))
    variance_shown = np.where(points["variance"] <= zero, "zero", "estimate")
    points = points.assign(bias_shown=bias_shown, variance_shown=variance_shown)
    points["has_interval"] = points[["squared_bias_high", "variance_high"]].notna().all(axis=1)
    points["frontier"] = _frontier(points)
    exact = (points["bias_shown"] != "estimate") & (points["variance_shown"] == "zero")
    order = pd.DataFrame(
        {"exact": ~exact, "beaten": ~points["frontier"], "error": error[points.index]}
    )
    first = order.sort_values(["exact", "beaten", "error"], kind="stable").index[:MOST_NAMED]
    points["labelled"] = points.index.isin(first)
    return points.reset_index(drop=True)


def _frontier(points: pd.DataFrame) -> pd.Series:
    """Return which estimators with an error nothing beats; of equal ones, the first."""
    errors = pd.DataFrame(
        {
            "variance": points["variance"].where(points["variance_shown"] == "estimate", 0.0),
            "bias": points["squared_bias"].where(points["bias_shown"] == "estimate", 0.0),
        }
    )
    errors = errors[(errors > 0).any(axis="columns")].sort_values(["variance", "bias"])
    least = errors["bias"] < errors["bias"].cummin().shift(fill_value=np.inf)
    return least.reindex(points.index, fill_value=False)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw squared bias against variance, in squared units of the gradient, on log-log axes.

    Estimators whose bias is not distinguishable from zero are on a strip below the plane, in the
    order of their variance. At most 12 estimators are named, at their points; the others are grey.
    Bars are 95 % intervals; grey lines join points of equal mean squared error; zeros lie on the
    axes; points without an interval are hollow.

    Args:
        rows: a tidy result table of one context with the metrics `squared_bias` and `variance`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    table = measurements(rows)
    points = _points(table.frame, rows)
    left_out = table.frame.loc[~table.frame["estimator"].isin(points["estimator"]), "short_name"]
    looks = _looks(rows, points)
    height = _AROUND + _strip_height(points)
    height += _PLANE * (points["bias_shown"] == "estimate").any()
    with paper():
        marks = _marks(points) + not_drawn(left_out)

        def drawn(in_legend: Sequence[str]) -> tuple[Figure, list[str]]:
            names = [entry(looks[name], name) for name in in_legend]
            figure = framed(page, title(rows, table.context), height, names, marks)
            axes = _panels(figure.subplots(), points, looks)
            lay_out(figure)
            return figure, _write_names(axes, points, looks)

        figure, missing = drawn([])
        # The panels keep their size, so that the same names find no room.
        return drawn(missing)[0] if missing else figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the plane and the strip into axes, which make room for the strip.

    Args:
        ax: the axes. Every named estimator has a label, for `ax.legend()`.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = _looks(rows, points)
    _, strip = _panels(ax, points, looks)
    if strip not in (None, ax):
        for point in _on_strip(points).to_dict("records"):
            if point["labelled"]:
                style = looks[point["short_name"]].marks(label=point["short_name"])
                ax.plot([], [], linestyle="none", **style)


def _looks(rows: pd.DataFrame, points: pd.DataFrame) -> dict[str, Look]:
    return looks_of(points[points["labelled"]], "short_name", families(rows))


def _on_strip(points: pd.DataFrame) -> pd.DataFrame:
    """Return the estimators without a distinguishable bias, in the order of their variance."""
    lines = points[points["bias_shown"] != "estimate"]
    return lines.sort_values("variance", kind="stable")


def _strip_height(points: pd.DataFrame) -> float:
    """Return the height of the strip in inches, 0 without one."""
    named = _on_strip(points)["labelled"]
    return _ENDS + _ROW * named.sum() + _GREY_ROW * (~named).sum() if len(named) else 0.0


def _panels(
    ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]
) -> tuple[Axes | None, Axes | None]:
    """Draw the plane and the strip; None for one that has no estimator."""
    in_plane = points[points["bias_shown"] == "estimate"]
    ax.set(xscale="log", xlabel="variance (trace)")
    estimates = points[points["variance_shown"] == "estimate"]
    if len(estimates):
        ax.set_xlim(limits(estimates, "variance"))
        label_logarithms(ax.xaxis)
    if in_plane.empty:
        _strip(ax, points, looks)
        return None, ax
    strip = None
    if len(in_plane) < len(points):
        strip = below(ax, _strip_height(points) / _PLANE)
        _strip(strip, points, looks)
    ax.set(yscale="log", ylabel="squared bias", ylim=limits(in_plane, "squared_bias"))
    label_logarithms(ax.yaxis)
    _equal_error(ax)
    for point in in_plane.sort_values("labelled").to_dict("records"):
        _point(ax, point, float(point["squared_bias"]), looks)
    return ax, strip


def _marks(points: pd.DataFrame) -> list[Line2D]:
    marks = [mark("95 % interval", marker="+", markersize=8, markeredgewidth=0.8)]
    if (points["bias_shown"] == "estimate").any():
        marks.append(mark("equal mean squared error", color=_EQUAL, linestyle="-", lw=0.8))
    if not points["has_interval"].all():
        marks.append(hollow_mark())
    if (points["variance_shown"] == "zero").any():
        marks.append(mark("on the left axis: zero", marker="o"))
    below = points.loc[points["bias_shown"] == "upper limit", "squared_bias_high"]
    if len(below):
        ends = " to ".join(dict.fromkeys(map(formats.scientific, (below.min(), below.max()))))
        marks.append(mark(f"strip: squared bias below {ends} (upper 95 % limits)"))
    rule = "the frontier, and the least errors at equal cost"
    others = int((~points["labelled"]).sum())
    return marks + others_mark(others, rule, marker="o", linestyle="none", markersize=3)


def _equal_error(ax: Axes) -> None:
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    share = 1 / (1 + np.exp(-np.linspace(-40, 40, 400)))  # grid of biases, dense at both ends
    for decade in range(int(np.floor(np.log10(max(left, bottom)))), int(np.log10(right + top)) + 2):
        error = 10.0**decade
        ax.plot(error * (1 - share), error * share, color=_EQUAL, linewidth=0.6, zorder=0)
    ax.set(xlim=(left, right), ylim=(bottom, top))


def _strip(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    lines = _on_strip(points)
    for point, y in zip(lines.to_dict("records"), _heights(lines), strict=True):
        _point(ax, point, y, looks)
    ax.set(ylim=(0, _strip_height(points)), yticks=[])
    ax.set_title("bias not distinguishable from zero", loc="left", fontsize="small", pad=2)
    ax.spines["left"].set_visible(False)


def _heights(lines: pd.DataFrame) -> np.ndarray:
    """Return the places of rows in inches above the strip's end, the least variance on top."""
    rows = np.where(lines["labelled"], _ROW, _GREY_ROW)[::-1]
    return (_ENDS / 2 + np.cumsum(rows) - rows / 2)[::-1]


def _point(ax: Axes, point: Mapping[Any, Any], y: float, looks: Mapping[str, Look]) -> None:
    """Draw an estimator in the plane or, without a bias, on the strip."""
    look = looks.get(point["short_name"], GREY_LOOK)
    left = ax.get_xlim()[0]
    x = point["variance"] if point["variance_shown"] == "estimate" else left
    style = look.marks() if point["has_interval"] else look.hollow.marks()
    # Without a label, grey points are in no legend.
    label = point["short_name"]
    if point["labelled"]:
        for start, end in _bars(ax, point, y):
            across, up = zip(start, end, strict=True)
            ax.plot(across, up, color=look.colour, linewidth=0.8, marker="", zorder=2)
    else:
        style["markersize"], label = 3, "_"
    ax.plot(x, y, **style, linestyle="none", label=label, clip_on=x != left, zorder=3)


def _bars(ax: Axes, point: Mapping[Any, Any], y: float) -> list[tuple[labels.Spot, labels.Spot]]:
    """Return the ends of an estimator's bars within the axes."""
    x = point["variance"]
    bars: list[tuple[labels.Spot, labels.Spot]] = []
    if point["variance_shown"] == "estimate" and np.isfinite(point["variance_high"]):
        left, right = ax.get_xlim()
        low, high = point["variance_low"], point["variance_high"]
        bars.append(((max(left, min(low, x)), y), (min(right, max(high, x)), y)))
    if point["bias_shown"] == "estimate" and np.isfinite(point["squared_bias_high"]):
        bottom, top = ax.get_ylim()
        low, high = point["squared_bias_low"], point["squared_bias_high"]
        bars.append(((x, max(bottom, min(low, y))), (x, min(top, max(high, y)))))
    return bars


def _write_names(
    axes: tuple[Axes | None, Axes | None], points: pd.DataFrame, looks: Mapping[str, Look]
) -> list[str]:
    """Write the names at the points; return those for which there is no room."""
    plane, strip = axes
    missing: list[str] = []
    if plane:
        left = plane.get_xlim()[0]
        named = []
        for point in points[points["bias_shown"] == "estimate"].to_dict("records"):
            y = float(point["squared_bias"])
            bars = _bars(plane, point, y) if point["labelled"] else []
            at = (max(left, float(point["variance"])), y)
            named.append(labels.Point(point["short_name"], at, bars))
        missing = labels.place(plane, named, {name: look.colour for name, look in looks.items()})
    if strip:
        lines = _on_strip(points)
        for point, y in zip(lines.to_dict("records"), _heights(lines), strict=True):
            if point["labelled"]:
                name = point["short_name"]
                text = _ZEROS.format(name) if point["variance_shown"] == "zero" else name
                ends = [end[0] for bar in _bars(strip, point, y) for end in bar]
                at = max(strip.get_xlim()[0], point["variance"])
                span = min([at, *ends]), max([at, *ends])
                if not labels.beside(strip, text, span, y, looks[name].colour):
                    missing.append(name)
    return missing
