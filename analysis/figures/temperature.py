"""Bias, variance and mean squared error against temperature."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import traces
from analysis.figures.legend import entry, framed, hollow_mark, mark, not_drawn
from analysis.figures.marks import decades, down_arrow, label_decades
from analysis.names import wrap
from analysis.readable import ReadableTable
from analysis.rows import places
from analysis.style import Look, looks_of, paper
from analysis.tables.places import places_table
from analysis.tables.temperature import temperature_table

SMALL_SAMPLE = "sample too small for its temperature"
_PANELS = {
    "squared_bias": "squared bias",
    "variance": "variance (trace)",
    "mse": "mean squared error",
}
_LIMIT = (0, (1, 2))
_LONGEST_PLACE = 40
_FACTS = ["family", "temperature", "estimator", "method", "unbiased"]


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        The lines of `analysis.temperature_table` with `squared_bias`, `variance` and `mse`, each
        with `_low` and `_high`; `upper_limit`: whether the squared bias is not distinguishable from
        zero; `small_sample`: whether a note says that there are too few samples; `has_interval`. In
        front, if several places were measured: `place`.

    Raises:
        ValueError: if the table is not one for `analysis.temperature_table`, or no estimator has a
            temperature.
    """
    found = []
    for place, table in _tables(rows).items():
        points = _points(table.frame)
        if place:
            points.insert(0, "place", place)
        found.append(points)
    return pd.concat(found, ignore_index=True)


def _tables(rows: pd.DataFrame) -> dict[str, ReadableTable]:
    return {name: temperature_table(part) for name, part in places(rows).items()}


def _points(table: pd.DataFrame) -> pd.DataFrame:
    if table["temperature"].isna().all():
        raise ValueError("no estimator has a p_temperature")
    columns = [metric + suffix for metric in _PANELS for suffix in ("", "_low", "_high")]
    points = table[_FACTS + columns].replace([np.inf, -np.inf], np.nan)
    points = points.assign(
        upper_limit=traces.upper_limits(table),
        small_sample=table["note"].str.contains(SMALL_SAMPLE, regex=False),
    )
    ends = [f"{metric}_high" for metric in _measured(points)]
    points["has_interval"] = points[ends].notna().all(axis="columns")
    return points


def draw(rows: pd.DataFrame) -> Figure:
    """Draw squared bias, variance and mean squared error against temperature, on log-log axes.

    Errors are in squared units of the gradient. Bands are 95 % intervals; estimators without a
    temperature are horizontal lines; a squared bias that is not distinguishable from zero is an
    arrow down from its upper limit; points with too few samples or without an interval are hollow.
    Each step or training run of a measurement with `--at` has its own row of panels.

    Args:
        rows: a tidy result table of one context, or of one measurement with `--at`, with
            `p_temperature` and the metrics `squared_bias`, `variance` and `mse`.

    Raises:
        ValueError: as `data`.
    """
    points, tables = data(rows), _tables(rows)
    look = looks_of(points, "family")
    with paper():
        names = [entry(look[name], name, line=True) for name in look]
        markers = _between(points, look)
        title = tables[""].heading if len(tables) == 1 else places_table(rows, tables).heading
        figure = framed(title, 2.3 * len(tables), names, _marks(points))
        grid = figure.subplots(len(tables), len(_PANELS), sharex=True, squeeze=False)
        temperatures = points["temperature"].dropna()
        span = decades(temperatures.min() / 1.3, temperatures.max() * 1.3, least=1)
        for place, axes in zip(tables, grid, strict=True):
            own = points[points["place"] == place] if "place" in points else points
            axes[0].set_ylabel(
                "\n".join(wrap(place, _LONGEST_PLACE)).replace("$", r"\$"), fontsize=7
            )
            for ax, metric in zip(axes, _PANELS, strict=True):
                ax.set(xscale="log", yscale="log", xlim=span)
                label_decades(ax.xaxis, (1, 3))
                traces.set_heights(ax, own, metric)
                for name in look:
                    line = own[own["family"] == name]
                    if name in markers and len(line):
                        _untempered(ax, line.iloc[0], metric, look[name], markers[name])
                    elif len(line):
                        traces.trace(
                            ax, line, "temperature", metric, look[name],
                            label=name, hollow=line["small_sample"] | ~line["has_interval"],
                        )  # fmt: skip
        for ax, title in zip(grid[0], _PANELS.values(), strict=True):
            ax.set_title(title)
        for ax in grid[-1]:
            ax.set_xlabel("temperature")
    return figure


def _measured(points: pd.DataFrame) -> list[str]:
    return [metric for metric in _PANELS if points[metric].notna().any()]


def _marks(points: pd.DataFrame) -> list[Line2D]:
    marks = traces.marks(points, _PANELS)
    if points["small_sample"].any():
        marks.append(mark(f"hollow: {SMALL_SAMPLE}", marker="o", markerfacecolor="white"))
    if not points["has_interval"].all():
        marks.append(hollow_mark())
    left_out = points[_measured(points)].isna().any(axis="columns")
    return marks + not_drawn(points.loc[left_out, "estimator"])


def _between(points: pd.DataFrame, order: Iterable[str]) -> dict[str, float]:
    """Return marker positions, between temperatures, for estimators without a temperature."""
    grid = np.unique(points["temperature"].dropna())
    spots = np.sqrt(grid[1:] * grid[:-1]) if len(grid) > 1 else grid * 1.15
    untempered = set(points.loc[points["temperature"].isna(), "family"])
    names = [name for name in order if name in untempered]
    return {name: spots[i * len(spots) // len(names)] for i, name in enumerate(names)}


def _untempered(ax: Axes, line: pd.Series, metric: str, look: Look, x: float) -> None:
    limit = line["upper_limit"] and metric == "squared_bias"
    value, bottom = line[f"{metric}_high" if limit else metric], ax.get_ylim()[0]
    if np.isnan(value):
        return
    zero, y = value <= bottom, max(value, bottom)
    shared = {"label": line["family"], "clip_on": not zero}
    ax.plot(x, y, **look.marks(markersize=3.5, **shared))
    dashes = _LIMIT if limit else look.line
    ax.axhline(y, color=look.colour, ls=dashes, lw=1.5 if zero else 0.8, **shared)
    if limit:
        down_arrow(ax, (x, y), look)
    elif not zero:
        low, high = max(line[f"{metric}_low"], bottom), line[f"{metric}_high"]
        if low < high:
            ax.axhspan(low, high, color=look.colour, alpha=0.15, linewidth=0)
