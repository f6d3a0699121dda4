"""Error as a function of the budget."""

import math
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import formats
from analysis.figures.legend import band_mark, entry, framed, not_drawn
from analysis.figures.marks import ROUNDING, band, decades
from analysis.rows import bracketed_notes
from analysis.style import looks_of, paper
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
        `estimator`, `method`, `cost` of one gradient, `budget`, `error`, `low`, `high` (95 %).

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
        facts = {"estimator": line["estimator"], "method": line["method"], "cost": line[cost]}
        curves.append(pd.DataFrame({**facts, "budget": paid, **bounds}))
    return pd.concat(curves, ignore_index=True)


def draw(rows: pd.DataFrame, cost: Cost = "evaluations") -> Figure:
    """Draw error against budget, in squared units of the gradient, on log-log axes.

    Bands are 95 % intervals. An estimator with zero error is a vertical line at its cost; one that
    costs more than every budget appears in the legend only.

    Args:
        rows: as for `data`.
        cost: the unit of the budget, "evaluations" of f or "seconds".

    Raises:
        ValueError: as `data`.
    """
    table, lines, curves = measurements(rows), _lines(rows, cost), data(rows, cost)
    look = looks_of(lines, "estimator")
    costs = dict(zip(lines["estimator"], lines[cost], strict=True))
    greatest = curves.groupby("estimator")["error"].max()
    free = set(greatest.index[greatest <= ROUNDING * greatest.max()])
    dear = look.keys() - set(curves["estimator"])
    with paper():
        names = []
        for name in look:
            amount = _amount(costs[name], cost)
            label = f"{name}: zero error from {amount}" if name in free else name
            label += f": one gradient takes {amount}" if name in dear else ""
            names.append(entry(look[name], label, line=name not in dear))
        left_out = table.frame.loc[~table.frame["estimator"].isin(lines["estimator"]), "estimator"]
        marks = [band_mark(), *not_drawn(left_out)]
        figure = framed(table.heading, 3.4, names, marks)
        ax = figure.subplots()
        ax.set(xscale="log", yscale="log", xlabel=_LABELS[cost])
        ax.set(
            xlim=_budgets(lines, cost)[[0, -1]], ylabel="squared bias + variance × cost / budget"
        )
        errors = curves.loc[~curves["estimator"].isin(free), "error"]
        if len(errors):
            ax.set_ylim(decades(errors.min() / 2, errors.max() * 2))
        for place, name in enumerate(look):
            curve = curves[curves["estimator"] == name]
            style = {"linestyle": look[name].line, "label": name}
            if name in free:
                ax.axvline(costs[name], color=look[name].colour, **style)
            elif name not in dear:
                band(ax, curve["budget"], curve["low"], curve["high"], look[name].colour)
                # Staggered, so that markers do not overlap.
                every = (place * 7 % _POINTS_PER_DECADE, _POINTS_PER_DECADE)
                style = look[name].marks(markevery=every, **style)
                ax.plot(curve["budget"], curve["error"], **style)
    return figure


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
