"""Networks pruned by gates: test error against gates kept, and errors of the gates' gradient."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import traces
from analysis.figures.legend import entry, framed, mark
from analysis.figures.marks import label_decades, limits
from analysis.figures.planes import ERRORS, plane, relative, wide
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import Look, looks_in_order, paper

_COLUMNS = ("name", "method", "panel", "penalty", "seed", "metric", "value", "low", "high")
_SCORES = ("error", "kept", "weights")


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
    points = wide(pruned, keys, _SCORES)
    points["seeds"] = pruned["seeds"].max()
    gradients = relative(rows[rows["panel"] == "gradients"], keys[:3])
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
    looks = looks_in_order(points, families(rows))
    across = page.columns(2)
    seeds = int(points["seeds"].max())
    penalties = sorted(points["penalty"].dropna().unique())
    with paper():
        of_seeds = "mean of {} seeds" + (", 95 % interval" if seeds >= FEWEST else "")
        marks = [
            mark(f"left: penalty of {', '.join(f'{one:g}' for one in penalties)} nats per weight"),
            mark(of_seeds.format(seeds)),
            mark("right: relative to the squared norm of the true gradient"),
            *traces.marks(points[points["panel"] == "gradients"], ERRORS)[1:],
        ]
        figure = framed(
            page,
            "Pruning MNIST classifiers by gates",
            2.6 * (2 // across),
            [entry(look, name, line=True) for name, look in looks.items()],
            marks,
        )
        pruning, errors = figure.subplots(2 // across, across, squeeze=False).flat
        _pruning(pruning, points[points["panel"] == "pruning"], looks)
        pruning.set_title("pruned networks")
        plane(errors, points[points["panel"] == "gradients"], looks)
        errors.set_title("gradient of twelve gates")
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
    _pruning(ax, points[points["panel"] == "pruning"], looks_in_order(points, families(rows)))


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
    ax.set_xlim(limits(percent, "kept", 0.5))
    ax.set_ylim(limits(percent, "error", 0.5))
    label_decades(ax.xaxis, (1, 2, 5))
    label_decades(ax.yaxis, (1, 2, 3, 5))
