"""Networks pruned by gates: test error against gates kept, and errors of the gates' gradient."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import traces
from analysis.figures.legend import entry, framed, mark
from analysis.figures.marks import ROUNDING, down_arrow, label_decades, label_logarithms, limits
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import Look, looks_of, paper

_COLUMNS = ("name", "method", "panel", "penalty", "seed", "metric", "value", "low", "high")
_SCORES = ("error", "kept", "weights")
_ERRORS = ("squared_bias", "variance")


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `name` of the line and its `method`. In the `panel` "pruning": `penalty`, and of the pruned
        networks the mean over `seeds` of `error`, `kept` and `weights`, with `_low` and `_high`. In
        "gradients": `squared_bias` and `variance` relative to the squared norm of the true
        gradient, with `_low` and `_high`, and `upper_limit`: whether the squared bias is not
        distinguishable from zero.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    rows = without_predictions(rows)
    keys = ["panel", "name", "method", "penalty"]
    pruned = over_seeds(rows[rows["panel"] == "pruning"], [*keys, "metric"]).reset_index()
    points = _wide(pruned, keys, _SCORES)
    points["seeds"] = pruned["seeds"].max()
    measured = rows[rows["panel"] == "gradients"]
    norm = measured.loc[measured["metric"] == "truth_norm", "value"].iloc[0]
    scaled = measured[["value", "low", "high"]] / norm**2
    gradients = _wide(measured.assign(**scaled), keys[:3], _ERRORS)
    gradients["upper_limit"] = traces.upper_limits(gradients)
    return pd.concat([points, gradients], ignore_index=True)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the test error against the gates kept, and squared bias against variance.

    Lines join the penalties; bars are 95 % intervals over seeds of the error.

    Args:
        rows: the tidy table of `estimax figure gates`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = _looks(rows, points)
    across = page.columns(2)
    seeds = int(points["seeds"].max())
    penalties = sorted(points["penalty"].dropna().unique())
    with paper():
        of_seeds = "mean of {} seeds" + (", 95 % interval" if seeds >= FEWEST else "")
        marks = [
            mark(f"left: penalty of {', '.join(f'{one:g}' for one in penalties)} nats per weight"),
            mark(of_seeds.format(seeds)),
            mark("right: relative to the squared norm of the true gradient"),
            *traces.marks(points[points["panel"] == "gradients"], _ERRORS)[1:],
        ]
        figure = framed(
            page,
            "Pruning MNIST classifiers by gates",
            2.6 * (2 // across),
            [entry(look, name, line=True) for name, look in looks.items()],
            marks,
        )
        pruning, plane = figure.subplots(2 // across, across, squeeze=False).flat
        _pruning(pruning, points[points["panel"] == "pruning"], looks)
        pruning.set_title("pruned networks")
        _plane(plane, points[points["panel"] == "gradients"], looks)
        plane.set_title("gradient of twelve gates")
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the test error against the gates kept into axes; lines have a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    _pruning(ax, points[points["panel"] == "pruning"], _looks(rows, points))


def _wide(rows: pd.DataFrame, keys: list[str], metrics: tuple[str, ...]) -> pd.DataFrame:
    """Return a line for each key, with a column for each metric and its interval's ends."""
    parts = [
        rows[rows["metric"] == metric]
        .set_index(keys)[["value", "low", "high"]]
        .rename(columns={"value": metric, "low": f"{metric}_low", "high": f"{metric}_high"})
        for metric in metrics
    ]
    return pd.concat(parts, axis="columns").reset_index()


def _looks(rows: pd.DataFrame, points: pd.DataFrame) -> dict[str, Look]:
    found = looks_of(points.drop_duplicates("name"), "name", families(rows))
    return {name: found[name] for name in points["name"].unique()}


def _pruning(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    percent = points.copy()
    percent[["error", "error_low", "error_high"]] *= 100
    for name, look in looks.items():
        line = percent[percent["name"] == name].sort_values("penalty")
        if line.empty:
            continue
        if line["seeds"].max() >= FEWEST:
            ax.vlines(line["kept"], line["error_low"], line["error_high"], look.colour, lw=0.6)
        style = look.marks(linestyle=look.line, markersize=3.5, linewidth=0.8, label=name)
        ax.plot(line["kept"], line["error"], **style)
    ax.set(xscale="log", yscale="log", xlabel="gates kept", ylabel="test error (%)")
    ax.set_ylim(limits(percent, "error", 0.5))
    label_decades(ax.xaxis, (1, 2, 5))
    label_decades(ax.yaxis, (1, 2, 3, 5))


def _plane(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Draw squared bias, or its upper limit, against variance."""
    ax.set(xscale="log", yscale="log", xlabel="variance", ylabel="squared bias")
    drawn = points.assign(squared_bias=traces.heights(points, "squared_bias"))
    drawn = drawn[(drawn[list(_ERRORS)] > ROUNDING).all(axis="columns")]
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
