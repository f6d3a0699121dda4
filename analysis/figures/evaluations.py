"""Variance against the number of evaluations of f."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.legend import band_mark, entry, framed, mark
from analysis.figures.marks import band
from analysis.rows import check
from analysis.style import looks_of, paper

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


def draw(rows: pd.DataFrame) -> Figure:
    """Draw variance against evaluations on a logarithmic axis, one panel per logit.

    An arrow down marks zero variance.

    Args:
        rows: the tidy table of `estimax figure variance-by-evaluations`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    # With one evaluation an estimator may reduce to a simpler one.
    most = points.sort_values("evaluations").drop_duplicates("name", keep="last")
    found = looks_of(most, "name")
    look = {name: found[name] for name in points["name"].unique()}
    with paper():
        entries = [entry(look[name], name, line=True) for name in look]
        figure = framed(
            "Three bits with equal logits, f = sum of squared distances: eight states",
            2.6,
            entries,
            [band_mark(), mark("zero variance", marker=r"$\downarrow$", markersize=6)],
        )
        logits = list(points["logit"].unique())
        for ax, logit in zip(figure.subplots(1, len(logits)), logits, strict=True):
            own = points[points["logit"] == logit]
            floor = own.loc[~own["is_zero"], "variance"].min() / 30
            for number, name in enumerate(look):
                part = own[own["name"] == name].sort_values("evaluations")
                seen, colour = part[~part["is_zero"]], look[name].colour
                x, low, high = seen["evaluations"], seen["low"], seen["high"]
                band(ax, x, low, high, colour)
                ax.vlines(x, low, high, colour, linewidth=0.7)
                ax.plot(x, seen["variance"], linestyle=look[name].line, **look[name].marks())
                aside = _ASIDE * (number - (len(look) - 1) / 2)
                for count in part.loc[part["is_zero"], "evaluations"]:
                    ax.plot(
                        count + aside, floor, color=colour, marker=r"$\downarrow$", markersize=7
                    )
            ax.set(
                title=f"logit {logit:g}",
                xlabel="evaluations of f",
                ylabel="variance",
                yscale="log",
                xticks=sorted(own["evaluations"].unique()),
            )
    return figure
