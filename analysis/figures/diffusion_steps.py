"""Bias and variance against the steps of a diffusion relaxation, beside a temperature."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import traces
from analysis.figures.legend import entry, framed, hollow_mark, mark
from analysis.figures.marks import ROUNDING, label_decades, label_logarithms, limits
from analysis.page import PAGE, Page
from analysis.rows import check, families
from analysis.style import Look, looks_in_order, paper

_STEPS, _TEMPERATURE = "p_num_steps", "p_temperature"
_COLUMNS = ("name", "method", _STEPS, _TEMPERATURE, "metric", "value", "low", "high", "note")
_METRICS = {"squared_bias": "squared bias", "variance": "variance"}
_PANELS = {
    "A": ("squared_bias", "steps"),
    "B": ("squared_bias", "temperature"),
    "C": ("variance", "steps"),
    "D": ("variance", "temperature"),
}
_WIDE, _NARROW = "ABE;CDE", "AB;CD;EE"  # the last is the plane
_HEIGHTS = {_WIDE: 3.4, _NARROW: 5.6}
_NUMBERED = "diffusion, straight-through"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data, a line for each estimator.

    Returns:
        `name` of the curve, `steps` or `temperature` where it has one, `squared_bias` and
        `variance` relative to the squared norm of the true gradient, each with `_low` and `_high`;
        `upper_limit`: whether the squared bias is not distinguishable from zero; `has_interval`.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    by = ["name", "method", _STEPS, _TEMPERATURE]
    norm = rows.loc[rows["metric"] == "truth_norm", "value"].iloc[0]
    points = rows.loc[rows["metric"] == "variance", by].reset_index(drop=True)
    for metric in _METRICS:
        own = rows[rows["metric"] == metric].reset_index(drop=True)
        for column, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            points[metric + suffix] = own[column].to_numpy() / norm**2
    ends = [f"{metric}_high" for metric in _METRICS]
    exact = points["variance"] == 0
    points["has_interval"] = exact | points[ends].notna().all(axis="columns")
    points["upper_limit"] = traces.upper_limits(points)
    return points.rename(columns={_STEPS: "steps", _TEMPERATURE: "temperature"})


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw squared bias and variance by steps and by temperature, and one against the other.

    The temperature falls to the right, as the steps rise: samples become harder. In the plane of
    both, numbers are those of steps; what has no interval, or only an upper limit, is left out.

    Args:
        rows: the tidy table of `estimax figure diffusion-steps`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = looks_in_order(points, families(rows))
    mosaic = _WIDE if page.columns(3) == 3 else _NARROW
    with paper():
        marks = [mark("relative to the squared norm of the true gradient")]
        marks.append(mark(f"numbers: steps of {_NUMBERED}"))
        marks += traces.marks(points, _METRICS, linestyle="none", marker="o")
        if not points["has_interval"].all():
            marks.append(hollow_mark())
        figure = framed(
            page,
            "Steps of diffusion and temperature of Gumbel-softmax",
            _HEIGHTS[mosaic],
            [entry(look, name, line=True) for name, look in looks.items()],
            marks,
        )
        widths = [1, 1, 1.5] if mosaic == _WIDE else [1, 1]
        axes = figure.subplot_mosaic(mosaic, width_ratios=widths)
        for name, (metric, knob) in _PANELS.items():
            ax = axes[name]
            _by(ax, points, knob, metric, looks)
            ax.tick_params(labelleft=knob == "steps", labelbottom=metric == "variance")
            if knob == "steps":
                ax.set_ylabel(_METRICS[metric])
            if metric == "variance":
                ax.set_xlabel(knob)
        _plane(axes["E"], points, looks)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the plane of both into axes; every curve has a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    _plane(ax, points, looks_in_order(points, families(rows)))


def _by(ax: Axes, points: pd.DataFrame, knob: str, metric: str, looks: Mapping[str, Look]) -> None:
    """Draw a metric against steps or temperature; what has neither is a horizontal line."""
    ax.set(xscale="log", yscale="log")
    traces.set_heights(ax, points, metric)
    span = points[knob].dropna()
    ends = span.min() / 1.25, span.max() * 1.25
    ax.set_xlim(ends if knob == "steps" else ends[::-1])
    if knob == "steps":
        ticks = [tick for tick in (1, 2, 5, 10, 20) if ends[0] <= tick <= ends[1]]
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
    else:
        label_decades(ax.xaxis, (1,))
    for name, look in looks.items():
        own = points[points["name"] == name]
        line = own[own[knob].notna()].sort_values(knob)
        if len(line):
            hollow = ~line["has_interval"]
            traces.trace(ax, line, knob, metric, look, label=name, hollow=hollow)
        elif own[["steps", "temperature"]].isna().all(axis=None):
            ax.axhline(own[metric].iloc[0], color=look.colour, linestyle=":", linewidth=0.8)


def _plane(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Draw squared bias against variance, along steps or temperature."""
    ax.set(xscale="log", yscale="log", xlabel=_METRICS["variance"], ylabel=_METRICS["squared_bias"])
    drawn = points.assign(squared_bias=traces.heights(points, "squared_bias"))
    certain = drawn["has_interval"] & ~drawn["upper_limit"]
    seen = drawn[certain & (drawn["variance"] > ROUNDING)]
    ax.set_xlim(limits(seen, "variance"))
    ax.set_ylim(limits(seen, "squared_bias"))
    for axis in (ax.xaxis, ax.yaxis):
        label_logarithms(axis)
    for name, look in looks.items():
        line = seen[seen["name"] == name]
        line = line.sort_values(["steps", "temperature"], ascending=[True, False])
        style = look.marks(linestyle=look.line, markersize=3, linewidth=0.8, label=name)
        ax.plot(line["variance"], line["squared_bias"], **style)
        if name == _NUMBERED:
            for _, one in line.iterrows():
                ax.annotate(
                    f"{one['steps']:g}", (one["variance"], one["squared_bias"]), (4, 2),
                    textcoords="offset points", fontsize=6, color=look.colour,
                )  # fmt: skip
