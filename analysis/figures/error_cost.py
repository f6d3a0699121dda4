"""Error as a function of the budget."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import formats
from analysis.figures import small_multiples
from analysis.figures.legend import band_mark, entry, mark, named, not_drawn, others_mark
from analysis.figures.marks import ROUNDING, band, decades
from analysis.names import natural, short_names
from analysis.page import PAGE, Page
from analysis.rows import bracketed_notes, families, places, shared, title, without_skipped
from analysis.style import GREY, Look, looks_of, paper
from analysis.tables.comparison import indistinguishable, measurements

Cost = Literal["evaluations", "seconds"]
_POINTS_PER_DECADE = 20
_DECADES = 3
_OVER = (0, (3, 3))
_ERROR = "squared bias\n+ variance × cost / budget"
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
        rows: a tidy result table of one context or several, with the metrics `squared_bias` and
            `variance`.
        cost: "evaluations" of f (budgets from 1 to 1000) or "seconds" (from the fastest gradient to
            1000 times its time; needs the metric `seconds`).

    Returns:
        `estimator`, `short_name`, `method`, `cost` of one gradient, `budget`, `error`, `low` and
        `high` (95 %). In front, if several places were measured, such as problems: `place`.

    Raises:
        ValueError: if the table is not one for `analysis.comparison_table`, `cost` is invalid, or
            no estimator has finite values.
    """
    lines = _lines(rows, cost)
    return _curves(lines, cost, _budgets(lines, cost))


def _curves(lines: pd.DataFrame, cost: Cost, budgets: np.ndarray) -> pd.DataFrame:
    zero_bias = indistinguishable(lines) & (lines["unbiased"] == "yes")
    kept = [name for name in ("place", "estimator", "short_name", "method") if name in lines]
    curves = []
    for (_, line), no_bias in zip(lines.iterrows(), zero_bias, strict=True):
        # The curve starts at exactly one gradient, not at the next grid point.
        paid = np.concatenate([[line[cost]], budgets[budgets > line[cost]]])
        paid = paid[paid <= budgets[-1]]
        bounds = {}
        for name, suffix in (("error", ""), ("low", "_low"), ("high", "_high")):
            bias = 0.0 if no_bias else max(line["squared_bias" + suffix], 0.0)
            bounds[name] = bias + line["variance" + suffix] * line[cost] / paid
        facts = {name: line[name] for name in kept}
        facts["cost"] = line[cost]
        curves.append(pd.DataFrame({**facts, "budget": paid, **bounds}))
    return pd.concat(curves, ignore_index=True)


def draw(rows: pd.DataFrame, page: Page = PAGE, cost: Cost = "evaluations") -> Figure:
    """Draw error against budget, in squared units of the gradient, on log-log axes.

    Bands are 95 % intervals. An estimator with zero error is a vertical line at its cost; one that
    costs more than every budget appears in the legend only. At most 12 are named, those of the
    least error at equal cost; the others are grey. Several problems, parameters, steps or training
    runs have a panel each, and the named estimators have the least mean rank.

    Args:
        rows: as for `data`.
        page: the layout.
        cost: the unit of the budget, "evaluations" of f or "seconds".

    Raises:
        ValueError: as `data`, or if there are too many places for one figure.
    """
    lines = _lines(rows, cost)
    budgets, measured = _budgets(lines, cost), small_multiples.by_place(lines)
    curves = [_curves(own, cost, budgets) for own in measured.values()]
    looks = _looks(rows, lines)
    somewhere, free = _free(curves)
    costs = lines.groupby("short_name")[cost].agg(["min", "max"])
    dear = set(lines["short_name"]).difference(*(drawn["short_name"] for drawn in curves))
    with paper():
        names = []
        for name, look in looks.items():
            amount = _amount(costs["min"][name], costs["max"][name], cost)
            label = f"{name}: zero error from {amount}" if name in free else name
            label += f": one gradient takes {amount}" if name in dear else ""
            names.append(entry(look, label, line=name not in dear))
        said = small_multiples.rule("the least error at equal cost", [*measured])
        others = lines["short_name"].nunique() - len(looks)
        left_out = set(short_names(without_skipped(rows)[0]).values()) - set(lines["short_name"])
        marks = [band_mark(), *others_mark(others, said), *not_drawn(sorted(left_out, key=natural))]
        marks += small_multiples.without_panel(places(rows), measured)
        if somewhere - free:
            marks.append(mark("vertical: zero error from there", marker="|", markersize=8))
        figure, grid = small_multiples.grid(
            page, title(rows, shared(rows)), [*measured], [_ERROR], _LABELS[cost],
            1.7 if "place" in lines else 2.6, names, marks,
        )  # fmt: skip
        for own, drawn, (ax,) in zip(measured.values(), curves, grid, strict=True):
            _panel(ax, own, drawn, looks, cost, budgets)
        grid[0][0].set_ylabel(_ERROR)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the curves into axes; every named estimator has a label, for `ax.legend()`.

    Of several places, the first is drawn.

    Args:
        ax: the axes.
        rows: as for `data`.

    Raises:
        ValueError: as `data`.
    """
    lines = _lines(rows, "evaluations")
    own = next(iter(small_multiples.by_place(lines).values()))
    budgets = _budgets(lines, "evaluations")
    curves = _curves(own, "evaluations", budgets)
    _panel(ax, own, curves, _looks(rows, lines), "evaluations", budgets)
    ax.set(xlabel=_LABELS["evaluations"], ylabel=_ERROR)


def _looks(rows: pd.DataFrame, lines: pd.DataFrame) -> dict[str, Look]:
    ranks = small_multiples.ranked(lines, "short_name", "equal_cost_error")
    shown = named(ranks.to_frame())
    return looks_of(lines[lines["short_name"].isin(shown)], "short_name", families(rows))


def _without_error(curves: pd.DataFrame) -> set[str]:
    """Return the estimators without error at one place."""
    greatest = curves.groupby("short_name")["error"].max()
    return set(greatest.index[greatest <= ROUNDING * greatest.max()])


def _free(curves: Sequence[pd.DataFrame]) -> tuple[set[str], set[str]]:
    """Return the estimators without error at some place, and those at all where they are drawn."""
    each = [(_without_error(drawn), set(drawn["short_name"])) for drawn in curves]
    some = set().union(*(free for free, _ in each))
    return some, some.difference(*(known - free for free, known in each))


def _panel(
    ax: Axes,
    lines: pd.DataFrame,
    curves: pd.DataFrame,
    looks: Mapping[str, Look],
    cost: Cost,
    budgets: np.ndarray,
) -> None:
    ax.set(xscale="log", yscale="log", xlim=budgets[[0, -1]])
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
            before = [costs[other] for other in list(looks)[:place] if other in free]
            if costs[name] in before:  # which shows between the dashes
                style["linestyle"] = _OVER
            ax.axvline(costs[name], color=look.colour, **style)
        elif name in drawn.groups:
            curve = drawn.get_group(name)
            band(ax, curve["budget"], curve["low"], curve["high"], look.colour)
            # Staggered, so that markers do not overlap.
            every = (place * 7 % _POINTS_PER_DECADE, _POINTS_PER_DECADE)
            ax.plot(curve["budget"], curve["error"], **look.marks(markevery=every, **style))


def _lines(rows: pd.DataFrame, cost: Cost) -> pd.DataFrame:
    """Return the estimators with finite values, of all places."""
    if cost not in _LABELS:
        raise ValueError(f"cost is {' or '.join(_LABELS)}, not {cost!r}")
    needed, found = ["squared_bias", "variance", cost], []
    for place, part in places(rows).items():
        lines = measurements(part).frame
        finite = lines[needed].map(math.isfinite).all(axis="columns")
        if finite.any():
            found.append(lines[finite].assign(place=place) if place else lines[finite])
    if not found:
        why = bracketed_notes(rows, needed)
        raise ValueError(f"no estimator has finite {', '.join(needed)}{why}")
    lines = pd.concat(found, ignore_index=True)
    return lines.assign(short_name=lines["estimator"].map(short_names(rows)))


def _budgets(lines: pd.DataFrame, cost: Cost) -> np.ndarray:
    first = 1.0 if cost == "evaluations" else float(lines[cost].min())
    return first * np.logspace(0, _DECADES, _DECADES * _POINTS_PER_DECADE + 1)


def _amount(low: float, high: float, cost: Cost) -> str:
    """Return the costs of a gradient at all places."""
    if cost == "seconds":
        return " to ".join(dict.fromkeys(map(formats.duration, (low, high))))
    return " to ".join(dict.fromkeys(f"{one:,.0f}" for one in (low, high))) + " evaluations"
