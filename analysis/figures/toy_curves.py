"""Loss and variance during the training of a single bit, and the learned control variate."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.legend import band_mark, entry, framed, mark
from analysis.figures.marks import band
from analysis.page import PAGE, Page
from analysis.rows import check, families
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import Look, looks_of, paper

_COLUMNS = ("target", "name", "method", "metric", "step", "seed", "value")
_MARKS = 6  # to a curve
_PANELS = {"loss": "loss", "log_variance": "log variance", "surrogate": "control variate"}


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `target`, `name`, `method`, `metric`; `x`: the step, or the relaxed variable of a control
        variate; `value`, `low`, `high`: mean over `seeds` with its 95 % interval. Zero variances
        are omitted.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    finite = rows[np.isfinite(rows["value"])]
    finite = finite.assign(low=np.nan, high=np.nan)
    learned = finite["metric"] == "surrogate"
    by = ["target", "name", "method", "metric"]
    curves = over_seeds(finite[~learned], [*by, "step"]).reset_index()
    curves = curves.rename(columns={"step": "x"})
    if learned.any():
        surrogate = finite.loc[learned, [*by, "z", "value"]].rename(columns={"z": "x"})
        curves = pd.concat([curves, surrogate.assign(seeds=1)], ignore_index=True)
    return curves


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw one row of panels per target: loss, log variance and the control variate.

    Args:
        rows: the tidy table of `estimax figure toy-curves`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    look, names = looks_of(points, "name", families(rows)), points["name"].unique()
    targets = list(points["target"].unique())
    is_wide = page.columns(len(_PANELS)) == len(_PANELS)
    with paper():
        entries = [entry(look[name], name, line=True) for name in names]
        figure = framed(
            page,
            "One bit, f = $(b - t)^2$: the minimum is at b = 0",
            1.8 * len(targets),
            entries,
            [_seeds_mark(points)],
        )
        panels = figure.subplots(len(targets), len(_PANELS), squeeze=False)
        for row, target in zip(panels, targets, strict=True):
            for ax, (metric, title) in zip(row, _PANELS.items(), strict=True):
                own = points[(points["target"] == target) & (points["metric"] == metric)]
                for name in names:
                    _line(ax, own[own["name"] == name], look[name])
                if target == targets[0]:
                    ax.set_title(title if is_wide else title.replace(" ", "\n"))
                ax.ticklabel_format(useOffset=False)
            row[0].set_ylabel(f"t = {target:g}\nE $(b - t)^2$")
            row[1].set_ylabel("natural logarithm")
            row[2].set_ylabel("c(z)")
        for ax, label in zip(panels[-1], ("step", "step", "z, relaxed"), strict=True):
            ax.set_xlabel(label)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the loss of the first target into axes; every estimator has a label.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    look = looks_of(points, "name", families(rows))
    own = points[(points["target"] == points["target"].iloc[0]) & (points["metric"] == "loss")]
    for name in own["name"].unique():
        _line(ax, own[own["name"] == name], look[name], name)
    ax.set(xlabel="step", ylabel="E $(b - t)^2$")


def _seeds_mark(points: pd.DataFrame) -> Line2D:
    seeds = points["seeds"].max()
    if seeds >= FEWEST:
        return band_mark("95 % interval of the mean over seeds")
    return mark("one seed" if seeds == 1 else f"means over {seeds} seeds, without intervals")


def _line(ax: Axes, part: pd.DataFrame, look: Look, label: str = "_") -> None:
    part = part.sort_values("x")
    if (part["seeds"] >= FEWEST).all():
        band(ax, part["x"], part["low"], part["high"], look.colour)
    style = look.marks(markevery=max(1, len(part) // _MARKS), markersize=3.5, label=label)
    ax.plot(part["x"], part["value"], linestyle=look.line, linewidth=1, **style)
