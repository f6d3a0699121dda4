"""Variance against the number of evaluations of f."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.legend import band_mark, framed, mark
from analysis.rows import check
from analysis.style import COLOURS, LINES, MARKERS, paper

_COLUMNS = ("name", "logit", "evaluations", "metric", "value", "low", "high")
_ZERO = 1e-12  # of rounding: nothing is left to chance


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the points: `variance` of each `name` at each `logit`, with `low` and `high`.

    `nothing`: whether it is zero but for rounding.

    Raises:
        ValueError: where the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    points = rows.loc[rows["metric"] == "variance", list(_COLUMNS)].drop(columns="metric")
    points = points.rename(columns={"value": "variance"}).reset_index(drop=True)
    return points.assign(nothing=points["variance"] < _ZERO)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw variance against evaluations on a logarithmic axis, a panel for each logit.

    What has no variance ends in an arrow down.

    Args:
        rows: the tidy table of `estimax figure variance-by-evaluations`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    names = list(points["name"].unique())
    looks = {name: (COLOURS[i], LINES[i], MARKERS[i]) for i, name in enumerate(names)}
    entries = [
        mark(name, color=colour, linestyle=line, marker=marker)
        for name, (colour, line, marker) in looks.items()
    ]
    with paper():
        figure = framed(
            "Three bits of one logit, f = sum of squared distances: eight states",
            2.6,
            entries,
            [band_mark(), mark("no variance", marker=r"$\downarrow$", markersize=6)],
        )
        logits = list(points["logit"].unique())
        for ax, logit in zip(figure.subplots(1, len(logits)), logits, strict=True):
            own = points[points["logit"] == logit]
            floor = own.loc[~own["nothing"], "variance"].min() / 30
            for name, (colour, line, marker) in looks.items():
                part = own[(own["name"] == name)].sort_values("evaluations")
                seen = part[~part["nothing"]]
                ax.fill_between(
                    seen["evaluations"], seen["low"], seen["high"], color=colour, alpha=0.15, lw=0
                )
                ax.plot(
                    seen["evaluations"],
                    seen["variance"],
                    color=colour,
                    linestyle=line,
                    marker=marker,
                )
                for count in part.loc[part["nothing"], "evaluations"]:
                    ax.plot(count, floor, color=colour, marker=r"$\downarrow$", markersize=7)
            ax.set(
                title=f"logit {logit:g}",
                xlabel="evaluations of f",
                ylabel="variance",
                yscale="log",
                xticks=sorted(own["evaluations"].unique()),
            )
    return figure
