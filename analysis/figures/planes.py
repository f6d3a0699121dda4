"""Squared bias against variance of several estimators, and tables with a column for each metric."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import traces
from analysis.figures.marks import ROUNDING, down_arrow, label_logarithms, limits
from analysis.style import Look

ERRORS = ("squared_bias", "variance")


def wide(rows: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Return a line for each key, with a column for each metric, and its `_low` and `_high`.

    Args:
        rows: with `metric`, `value`, `low`, `high` and the keys, which identify a row of a metric.
        keys: the columns that a line keeps.
        metrics: the metrics.
    """
    parts = [
        rows[rows["metric"] == metric]
        .set_index(list(keys))[["value", "low", "high"]]
        .rename(columns={"value": metric, "low": f"{metric}_low", "high": f"{metric}_high"})
        for metric in metrics
    ]
    return pd.concat(parts, axis="columns").reset_index()


def relative(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return squared bias and variance over the squared norm of each one's true gradient.

    Args:
        rows: with the metrics `squared_bias`, `variance` and `truth_norm` of each `name`.
        keys: the columns that identify a name.

    Returns:
        The keys, both metrics with `_low` and `_high`, and `upper_limit`: whether the squared bias
        is not distinguishable from zero.
    """
    norms = rows[rows["metric"] == "truth_norm"].set_index("name")["value"]
    scaled, ends = rows.copy(), ["value", "low", "high"]
    scaled[ends] = rows[ends].div(rows["name"].map(norms) ** 2, axis="index")
    points = wide(scaled, keys, ERRORS)
    return points.assign(upper_limit=traces.upper_limits(points))


def plane(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Draw squared bias, or its upper limit, against variance, on logarithmic axes.

    Args:
        ax: the axes.
        points: as returned by `relative`; zeros are left out.
        looks: the style of each name.
    """
    ax.set(xscale="log", yscale="log", xlabel="variance", ylabel="squared bias")
    drawn = points.assign(squared_bias=traces.heights(points, "squared_bias"))
    drawn = drawn[(drawn[list(ERRORS)] > ROUNDING).all(axis="columns")]
    ax.set_xlim(limits(drawn, "variance"))
    ax.set_ylim(limits(drawn, "squared_bias"))
    for axis in (ax.xaxis, ax.yaxis):
        label_logarithms(axis)
    for _, one in drawn.iterrows():
        look, at = looks[one["name"]], (one["variance"], one["squared_bias"])
        ax.plot(*at, **look.marks(linestyle="none"))
        if one["upper_limit"]:
            down_arrow(ax, at, look)
        else:
            low, high = one["squared_bias_low"], one["squared_bias_high"]
            ax.vlines(at[0], low, high, look.colour, linewidth=0.7)
