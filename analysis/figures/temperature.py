"""Bias, variance and mean squared error against temperature."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import small_multiples, traces
from analysis.figures.legend import (
    NO_INTERVAL,
    band_mark,
    entry,
    hollow_mark,
    mark,
    named,
    not_drawn,
    others_mark,
)
from analysis.figures.marks import decades, down_arrow, label_decades
from analysis.page import PAGE, Page
from analysis.rows import families, places, shared, title
from analysis.style import GREY, Look, looks_of, paper
from analysis.tables.temperature import temperature_table

SMALL_SAMPLE = "too few samples for this temperature"
_PANELS = {
    "squared_bias": "squared bias",
    "variance": "variance (trace)",
    "mse": "mean squared error",
}
_OVER_PLACES = ("variance", "squared_bias")
_LIMIT = (0, (1, 2))
_CIRCLE = {"marker": "o", "markersize": 7.5, "fillstyle": "none", "markeredgewidth": 0.7}
_FACTS = ["family", "temperature", "estimator", "short_name", "method", "unbiased"]


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        The lines of `analysis.temperature_table` with `squared_bias`, `variance` and `mse`, each
        with `_low` and `_high`; `upper_limit`: whether the squared bias is not distinguishable from
        zero; `small_sample`: whether a note says that there are too few samples; `has_interval`;
        `equal_cost_error`, and `least_error`: whether that is the least of the estimator at any of
        several temperatures. In front, if several places were measured: `place`.

    Raises:
        ValueError: if the table is not one for `analysis.temperature_table`, or no estimator has a
            temperature.
    """
    frames = []
    for place, part in places(rows).items():
        frame = temperature_table(part).frame
        frames.append(frame.assign(place=place) if place else frame)
    table = pd.concat(frames, ignore_index=True)
    if table["temperature"].isna().all():
        raise ValueError("no estimator has a p_temperature")
    columns = [metric + suffix for metric in _PANELS for suffix in ("", "_low", "_high")]
    columns.append("equal_cost_error")
    facts = [*(["place"] if "place" in table else []), *_FACTS]
    points = table[facts + columns].replace([np.inf, -np.inf], np.nan)
    points = points.assign(
        upper_limit=traces.upper_limits(table),
        small_sample=table["note"].str.contains(SMALL_SAMPLE, regex=False),
    )
    points["least_error"] = _least(points)
    ends = [f"{metric}_high" for metric in _measured(points)]
    points["has_interval"] = points[ends].notna().all(axis="columns")
    return points


def _least(points: pd.DataFrame) -> pd.Series:
    """Return which temperature of each estimator has the least error at equal cost."""
    by = [points[name] for name in ("place", "family") if name in points]
    error = points["equal_cost_error"].where(points["temperature"].notna())
    groups = error.groupby(by, sort=False)
    return (error == groups.transform("min")) & (groups.transform("count") > 1)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw squared bias, variance and mean squared error against temperature, on log-log axes.

    Errors are in squared units of the gradient. Bars are 95 % intervals; estimators without a
    temperature are horizontal lines, with bands; a squared bias that is not distinguishable from
    zero is an arrow down from its upper limit; points with too few samples or without an interval
    are hollow; the temperature of each estimator's least error at equal cost is circled. At most 12
    estimators are named, first those with a temperature, of the least mean squared error at any;
    the others are grey. Of several problems, parameters, steps or training runs, each has a column
    of panels of variance and squared bias, and the named estimators have the least mean rank.

    Args:
        rows: a tidy result table of one context or several, with `p_temperature` and the metrics
            `squared_bias`, `variance` and `mse`.
        page: the layout.

    Raises:
        ValueError: as `data`, or if there are too many places for one figure.
    """
    points = data(rows)
    looks, measured = _looks(rows, points), small_multiples.by_place(points)
    several = "place" in points
    panels = {name: _PANELS[name] for name in (_OVER_PLACES if several else _PANELS)}
    with paper():
        names = [entry(look, name, line=True) for name, look in looks.items()]
        said = small_multiples.rule("the least mean squared errors", [*measured])
        marks = _marks(points, panels, len(set(points["family"]) - looks.keys()), said)
        marks += small_multiples.without_panel(places(rows), measured)
        figure, grid = small_multiples.grid(
            page, title(rows, shared(rows)), [*measured], [*panels.values()], "temperature",
            1.4 if several else 2.0, names, marks,
        )  # fmt: skip
        for own, axes in zip(measured.values(), grid, strict=True):
            for ax, (metric, label) in zip(axes, panels.items(), strict=True):
                _panel(ax, points, own, metric, looks)
                if not several:
                    ax.set_title(label)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the mean squared error into axes; named estimators have a label, for `ax.legend()`.

    Of several places, the first is drawn.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    _panel(
        ax,
        points,
        next(iter(small_multiples.by_place(points).values())),
        "mse",
        _looks(rows, points),
    )
    ax.set(xlabel="temperature", ylabel=_PANELS["mse"])


def _looks(rows: pd.DataFrame, points: pd.DataFrame) -> dict[str, Look]:
    lines = points.assign(fixed=points["temperature"].isna())
    fixed = lines.groupby("family", sort=False)["fixed"].min()
    shown = named(fixed.to_frame().join(small_multiples.ranked(points, "family", "mse")))
    return looks_of(points[points["family"].isin(shown)], "family", families(rows))


def _panel(
    ax: Axes, points: pd.DataFrame, own: pd.DataFrame, metric: str, looks: Mapping[str, Look]
) -> None:
    temperatures = points["temperature"].dropna()
    span = decades(temperatures.min() / 1.3, temperatures.max() * 1.3, least=1)
    ax.set(xscale="log", yscale="log", xlim=span)
    label_decades(ax.xaxis, (1, 3))
    traces.set_heights(ax, own, metric)
    markers = _between(points, looks)
    for family, line in own.groupby("family", sort=False):
        if family not in looks:
            _grey(ax, line, metric)
    for name, look in looks.items():
        line = own[own["family"] == name]
        if line.empty:  # skipped at this place
            continue
        if name in markers:
            value = traces.heights(line, metric).iloc[0]
            _untempered(ax, line.iloc[0], metric, value, look, markers[name])
        else:
            traces.trace(
                ax, line, "temperature", metric, look,
                label=name, hollow=line["small_sample"] | ~line["has_interval"],
            )  # fmt: skip
            best = line[line["least_error"]]
            heights = traces.heights(best, metric).clip(lower=ax.get_ylim()[0])
            ax.plot(best["temperature"], heights, **_CIRCLE, color=look.colour, linestyle="none",
                    label="_")  # fmt: skip


def _grey(ax: Axes, line: pd.DataFrame, metric: str) -> None:
    style = {"color": GREY, "linewidth": 0.6, "zorder": 1, "label": "_"}
    heights = traces.heights(line, metric)
    if line["temperature"].isna().all():
        ax.axhline(max(heights.iloc[0], ax.get_ylim()[0]), **style)
    else:  # zeros, and what is far below, are left out
        ax.plot(line["temperature"], heights.where(heights >= ax.get_ylim()[0]), **style)


def _measured(points: pd.DataFrame) -> list[str]:
    return [metric for metric in _PANELS if points[metric].notna().any()]


def _marks(points: pd.DataFrame, panels: Iterable[str], others: int, rule: str) -> list[Line2D]:
    marks = traces.marks(points, panels)
    if points["least_error"].any():
        marks.append(mark("circled: the least error at equal cost", **_CIRCLE))
    if points["temperature"].isna().any():
        marks.append(band_mark("95 % interval, without a temperature"))
    whys = [SMALL_SAMPLE] * bool(points["small_sample"].any())
    whys += [NO_INTERVAL] * (not points["has_interval"].all())
    if whys:
        marks.append(hollow_mark("; ".join(whys)))
    left_out = points[_measured(points)].isna().any(axis="columns")
    marks += others_mark(others, rule)
    return marks + not_drawn(points.loc[left_out, "short_name"].unique())


def _between(points: pd.DataFrame, order: Iterable[str]) -> dict[str, float]:
    """Return marker positions, between temperatures, for estimators without a temperature."""
    grid = np.unique(points["temperature"].dropna())
    spots = np.sqrt(grid[1:] * grid[:-1]) if len(grid) > 1 else grid * 1.15
    untempered = set(points.loc[points["temperature"].isna(), "family"])
    names = [name for name in order if name in untempered]
    return {name: spots[i * len(spots) // len(names)] for i, name in enumerate(names)}


def _untempered(ax: Axes, line: pd.Series, metric: str, value: float, look: Look, x: float) -> None:
    limit = line["upper_limit"] and metric == "squared_bias"
    bottom = ax.get_ylim()[0]
    if np.isnan(value):
        return
    zero, y = value <= bottom, max(value, bottom)
    dashes = _LIMIT if limit else look.line
    shared = {"clip_on": not zero, "linestyle": dashes, "linewidth": 1.5 if zero else 0.8}
    ax.plot(x, y, **look.marks(markersize=3.5, label=line["family"], **shared))
    ax.axhline(y, color=look.colour, label=f"_{line['family']}", **shared)
    if limit:
        down_arrow(ax, (x, y), look)
    elif not zero:
        low, high = max(line[f"{metric}_low"], bottom), line[f"{metric}_high"]
        if low < high:
            ax.axhspan(low, high, color=look.colour, alpha=0.15, linewidth=0)
