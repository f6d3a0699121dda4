"""Error as a function of the budget."""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import formats
from analysis.figures.legend import band_mark, entry, framed, named, not_drawn, others_mark
from analysis.figures.marks import ROUNDING, band, decades
from analysis.page import PAGE, Page
from analysis.rows import bracketed_notes, families, title
from analysis.style import GREY, Look, looks_of, paper
from analysis.tables.comparison import indistinguishable, measurements

Cost = Literal["evaluations", "seconds"]
_POINTS_PER_DECADE = 20
_DECADES = 3
_LABELS = {
    "evaluations": "budget (evaluations of f)",
    "seconds": "budget (seconds)",
}


def data(rows: pd.DataFrame, cost: Cost = "evaluations") -> pd.DataFrame:
    """Return the curves of the figure: the error of a mean of gradients at a given budget.

    The error is squared bias + variance × cost / budget, for budgets of at least one gradient. The
    squared bias is taken as zero if the estimator is unbiased and its estimate is consistent with
    zero, or if the estimate is negative.

    Args:
        rows: a tidy result table of one context with the metrics `squared_bias` and `variance`.
        cost: "evaluations" of f (budgets from 1 to 1000) or "seconds" (from the fastest gradient to
            1000 times its time; needs the metric `seconds`).

    Returns:
        `estimator`, `short_name`, `method`, `cost` of one gradient, `budget`, `error`, `low` and
        `high` (95 %).

    Raises:
        ValueError: if the table is not one for `analysis.comparison_table`, `cost` is invalid, or
            no estimator has finite values.
    """
    lines = _lines(rows, cost)
    budgets = _budgets(lines, cost)
    zero_bias = indistinguishable(lines) & (lines["unbiased"] == "yes")
    curves = []
    for (_, line), no_bias in zip(lines.iterrows(), zero_bias, strict=True):
        # The curve starts at exactly one gradient, not at the next grid point.
        paid = np.concatenate([[line[cost]], budgets[budgets > line[cost]]])
        paid = paid[paid <= budgets[-1]]
        bounds = {}
        for name, suffix in (("error", ""), ("low", "_low"), ("high", "_high")):
            bias = 0.0 if no_bias else max(line["squared_bias" + suffix], 0.0)
            bounds[name] = bias + line["variance" + suffix] * line[cost] / paid
        facts = {name: line[name] for name in ("estimator", "short_name", "method")}
        facts["cost"] = line[cost]
        curves.append(pd.DataFrame({**facts, "budget": paid, **bounds}))
    return pd.concat(curves, ignore_index=True)


def draw(rows: pd.DataFrame, page: Page = PAGE, cost: Cost = "evaluations") -> Figure:
    """Draw error against budget, in squared units of the gradient, on log-log axes.

    Bands are 95 % intervals. An estimator with zero error is a vertical line at its cost; one that
    costs more than every budget appears in the legend only. At most 12 are named, those of the
    least error at equal cost; the others are grey.

    Args:
        rows: as for `data`.
        page: the layout.
        cost: the unit of the budget, "evaluations" of f or "seconds".

    Raises:
        ValueError: as `data`.
    """
    table, lines, curves = measurements(rows), _lines(rows, cost), data(rows, cost)
    looks, free = _looks(rows, lines), _without_error(curves)
    costs = dict(zip(lines["short_name"], lines[cost], strict=True))
    dear = set(lines["short_name"]) - set(curves["short_name"])
    with paper():
        names = []
        for name, look in looks.items():
            amount = _amount(costs[name], cost)
            label = f"{name}: zero error from {amount}" if name in free else name
            label += f": one gradient takes {amount}" if name in dear else ""
            names.append(entry(look, label, line=name not in dear))
        left_out = ~table.frame["estimator"].isin(lines["estimator"])
        marks = [
            band_mark(),
            *others_mark(len(lines) - len(looks), "the least error at equal cost"),
            *not_drawn(table.frame.loc[left_out, "short_name"]),
        ]
        figure = framed(page, title(rows, table.context), 2.6, names, marks)
        _panel(figure.subplots(), lines, curves, looks, cost)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the curves into axes; every named estimator has a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `data`.

    Raises:
        ValueError: as `data`.
    """
    lines = _lines(rows, "evaluations")
    _panel(ax, lines, data(rows), _looks(rows, lines), "evaluations")


def _looks(rows: pd.DataFrame, lines: pd.DataFrame) -> dict[str, Look]:
    shown = named(lines.set_index("short_name")[["equal_cost_error"]])
    return looks_of(lines[lines["short_name"].isin(shown)], "short_name", families(rows))


def _without_error(curves: pd.DataFrame) -> set[str]:
    greatest = curves.groupby("short_name")["error"].max()
    return set(greatest.index[greatest <= ROUNDING * greatest.max()])


def _panel(
    ax: Axes, lines: pd.DataFrame, curves: pd.DataFrame, looks: Mapping[str, Look], cost: Cost
) -> None:
    ax.set(xscale="log", yscale="log", xlabel=_LABELS[cost])
    ax.set(xlim=_budgets(lines, cost)[[0, -1]], ylabel="squared bias\n+ variance × cost / budget")
    free = _without_error(curves)
    errors = curves.loc[~curves["short_name"].isin(free), "error"]
    if len(errors):
        ax.set_ylim(decades(errors.min() / 1.5, errors.max() * 1.5))
    costs = dict(zip(lines["short_name"], lines[cost], strict=True))
    drawn = curves.groupby("short_name", sort=False)
    for name, curve in drawn:
        if name not in looks and name not in free:
            ax.plot(curve["budget"], curve["error"], color=GREY, linewidth=0.6, label="_", zorder=1)
    for place, (name, look) in enumerate(looks.items()):
        style = {"linestyle": look.line, "label": name}
        if name in free:
            ax.axvline(costs[name], color=look.colour, **style)
        elif name in drawn.groups:
            curve = drawn.get_group(name)
            band(ax, curve["budget"], curve["low"], curve["high"], look.colour)
            # Staggered, so that markers do not overlap.
            every = (place * 7 % _POINTS_PER_DECADE, _POINTS_PER_DECADE)
            ax.plot(curve["budget"], curve["error"], **look.marks(markevery=every, **style))


def _lines(rows: pd.DataFrame, cost: Cost) -> pd.DataFrame:
    """Return the estimators with finite values."""
    if cost not in _LABELS:
        raise ValueError(f"cost is {' or '.join(_LABELS)}, not {cost!r}")
    lines, needed = measurements(rows).frame, ["squared_bias", "variance", cost]
    finite = lines[needed].map(math.isfinite).all(axis="columns")
    if not finite.any():
        why = bracketed_notes(rows, needed)
        raise ValueError(f"no estimator has finite {', '.join(needed)}{why}")
    return lines[finite]


def _budgets(lines: pd.DataFrame, cost: Cost) -> np.ndarray:
    first = 1.0 if cost == "evaluations" else float(lines[cost].min())
    return first * np.logspace(0, _DECADES, _DECADES * _POINTS_PER_DECADE + 1)


def _amount(value: float, cost: Cost) -> str:
    return f"{value:,.0f} evaluations" if cost == "evaluations" else formats.duration(value)
