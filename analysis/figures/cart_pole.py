"""Returns of policies by episodes, at the best learning rate of each estimator."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import entry, framed, mark
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.style import Look, looks_in_order, paper

_COLUMNS = ("name", "method", "learning_rate", "seed", "step", "metric", "value")


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `name`, `method`; `learning_rate`, that with the fewest episodes to a return of `target` on
        average over the seeds; `seed`; `step`, the episodes; `value`, the mean return of 100 fresh
        episodes; `solved`: the episodes of the run to the target, NaN if it did not get there;
        `published`: the published mean of them, if there is one.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    rows = without_predictions(rows)
    points = rows.loc[rows["metric"] == "episode_return", [*_COLUMNS]].copy()
    run = ["name", "learning_rate", "seed"]
    reached = rows.loc[rows["metric"] == "episodes_to_solve", [*run, "value"]]
    points = points.merge(reached.rename(columns={"value": "solved"}), how="left", on=run)
    last = points["step"].max()
    taken = points["solved"].fillna(last).groupby([points[name] for name in run[:2]]).mean()
    best = taken.reset_index().sort_values("solved", kind="stable").drop_duplicates("name")
    kept = points.merge(best[run[:2]], on=run[:2]).drop(columns="metric")
    known = rows[rows["metric"] == "published_episodes"].set_index("name")["value"]
    target = rows.loc[rows["metric"] == "solved_return", "value"].iloc[0]
    return kept.assign(published=kept["name"].map(known), target=target)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw returns by episodes, and each run's episodes to the target beside published means.

    Args:
        rows: the tidy table of `estimax figure cart-pole`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = looks_in_order(points, families(rows))
    across, target = page.columns(2), points["target"].iloc[0]
    with paper():
        figure = framed(
            page,
            "Cart-pole: mean return of 100 fresh episodes",
            2.5 * (2 // across),
            [entry(look, name, line=True) for name, look in looks.items()],
            [
                mark("each at its best learning rate; thin: runs"),
                mark(f"right: episodes to {target:g}, cross: not reached, bar: published mean"),
            ],
        )
        left, right = figure.subplots(2 // across, across, squeeze=False).flat
        _returns(left, points, looks)
        _solved(right, points, looks)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw returns by episodes into axes; every curve has a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    _returns(ax, points, looks_in_order(points, families(rows)))


def _returns(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    for name, look in looks.items():
        own = points[points["name"] == name]
        wide = own.pivot(index="step", columns="seed", values="value")
        style = {"color": look.colour, "linestyle": look.line}
        ax.plot(wide.index, wide, linewidth=0.3, alpha=0.4, **style)
        every = max(len(wide) // 6, 1)
        marks = look.marks(linestyle=look.line, markersize=3, markevery=every, label=name)
        ax.plot(wide.index, wide.mean(axis=1), **marks)
    ax.axhline(points["target"].iloc[0], color="0.6", linewidth=0.6, linestyle=":")
    ax.set(xlabel="episodes", ylabel="return", ylim=(0, 205), xlim=(0, points["step"].max()))


def _solved(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    last = points["step"].max()
    names = list(looks)
    for place, name in enumerate(reversed(names)):
        look = looks[name]
        own = points[points["name"] == name].drop_duplicates("seed")
        runs, known = own["solved"], own["published"].iloc[0]
        done = runs.dropna()
        ax.plot(done, [place] * len(done), **look.marks(linestyle="none", markersize=4))
        failed = runs.isna().sum()
        ax.plot([last] * failed, [place] * failed, "x", color=look.colour, markersize=4)
        if known > 0:
            ax.plot([known] * 2, [place - 0.3, place + 0.3], color="0.3", linewidth=1.2)
    target = points["target"].iloc[0]
    ax.set(yticks=[], ylim=(-0.6, len(names) - 0.4), xlabel=f"episodes to a return of {target:g}")
    ax.set_xlim(0, 1.05 * float(np.nanmax(points[["step", "published"]].to_numpy(float))))
