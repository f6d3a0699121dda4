"""Estimators of a world model's categorical states: errors of gradients, and what is learned."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import traces
from analysis.figures.legend import bar_mark, framed, limit_mark, mark
from analysis.figures.marks import ROUNDING, left_arrow, limits
from analysis.figures.planes import relative, wide
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import Look, looks_in_order, paper

_COLUMNS = ("panel", "name", "method", "step", "seed", "metric", "value", "low", "high")
_ERRORS = {
    "squared_bias": r"squared bias over $|g|^2$",
    "variance": r"variance over $|g|^2$",
}
_SCORES = {"episode_bound": "bound (nats)", "imagined_error": "imagined error"}
_KEYS = ["panel", "name", "method", "step"]
_NO_ERROR, _NO_EXACT = "no error", "not enumerated"
_LINE, _ROOM = 0.17, 0.75  # inches of a line, and of title and axis
_ASIDE = 0.17  # of a line's height, from the middle to the marks of either step


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `panel`: the frames of an episode; `name`, `method`, `step`. Of gradients, `squared_bias`
        and `variance` relative to the squared norm of the true gradient at that step, and
        `upper_limit`: whether the squared bias is not distinguishable from zero. Of trained
        models, the means over `seeds` of `episode_bound` and `imagined_error`. All with `_low` and
        `_high`.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    rows = without_predictions(rows)
    is_score = rows["metric"].isin(_SCORES)
    means = over_seeds(rows[is_score], [*_KEYS, "metric"]).reset_index()
    trained = wide(means, _KEYS, tuple(_SCORES)).assign(seeds=means["seeds"].max())
    measured = [relative(part, _KEYS) for _, part in rows[~is_score].groupby("step")]
    return pd.concat([trained, *measured], ignore_index=True)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw a line for each estimator: errors of its gradient, and scores of what it trains.

    Bias and variance are hollow at the start and full after training. Scores are those of hard
    states, means over seeds.

    Args:
        rows: the tidy table of `estimax figure world-model`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = looks_in_order(points, families(rows))
    errors, trained = _parts(points)
    panels = trained["panel"].unique()
    across = page.columns(1 + len(panels))
    down = 2 * (1 + len(panels)) // across
    with paper():
        marks = [mark("gradients: hollow at the start, full after training", marker="o")]
        marks.append(bar_mark())
        if trained["seeds"].max() > 1:
            marks.append(mark(f"trained: means of {trained['seeds'].max():g} seeds"))
        if errors["upper_limit"].any():
            marks.append(limit_mark(across=True))
        figure = framed(
            page,
            "Categorical states of a world model of cart-pole",
            (_LINE * len(looks) + _ROOM) * down,
            [],
            marks,
        )
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        columns = grid.T if across > 1 else grid.reshape(-1, 2)
        for ax, (metric, label) in zip(columns[0], _ERRORS.items(), strict=True):
            _errors(ax, errors, metric, looks)
            ax.set(title=f"gradient, {errors['panel'].iloc[0]}", xlabel=label)
        for column, panel in zip(columns[1:], panels, strict=True):
            for ax, (metric, label) in zip(column, _SCORES.items(), strict=True):
                _scores(ax, trained[trained["panel"] == panel], metric, looks)
                ax.set(title=f"trained, {panel}", xlabel=label)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the bound of the longest episodes into axes, a line for each estimator.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    _, trained = _parts(points)
    last = trained[trained["panel"] == trained["panel"].iloc[-1]]
    _scores(ax, last, "episode_bound", looks_in_order(last, families(rows)))
    ax.set_xlabel(_SCORES["episode_bound"])


def _parts(points: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of gradients and of trained models."""
    is_trained = points["seeds"].notna()
    return points[~is_trained], points[is_trained]


def _lines(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look], without: str) -> None:
    """Give each name a line; say on those without points why there are none."""
    ax.set_yticks(range(1, len(looks) + 1), list(looks))
    ax.set_ylim(len(looks) + 0.5, 0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="0.93", linewidth=0.5)
    ax.set_axisbelow(True)
    for at, name in enumerate(looks, 1):
        if name not in set(points["name"]):
            across = ax.get_yaxis_transform()
            ax.text(0.03, at, without, transform=across, va="center", fontsize=7, color="0.4")


def _errors(ax: Axes, points: pd.DataFrame, metric: str, looks: Mapping[str, Look]) -> None:
    """Draw a relative error at the start, and below it that after training."""
    _lines(ax, points, looks, _NO_ERROR)
    ax.set_xscale("log")
    points = points.assign(drawn=traces.heights(points, metric))
    positive = points["drawn"] > ROUNDING * points["drawn"].max()
    if positive.any():
        ax.set_xlim(limits(points.assign(**{metric: points["drawn"]})[positive], metric))
    left, right = ax.get_xlim()
    for at, (name, look) in enumerate(looks.items(), 1):
        for one in points[points["name"] == name].to_dict("records"):
            y = at + (_ASIDE if one["step"] else -_ASIDE)
            style = look if one["step"] else look.hollow
            x = max(one["drawn"], left)
            if metric == "squared_bias" and one["upper_limit"]:
                left_arrow(ax, (x, y), look)
            else:
                low, high = np.clip([one[f"{metric}_low"], one[f"{metric}_high"]], left, right)
                ax.hlines(y, low, high, look.colour, linewidth=0.7)
            ax.plot(x, y, **style.marks(linestyle="none", markersize=4.0, clip_on=False))


def _scores(ax: Axes, points: pd.DataFrame, metric: str, looks: Mapping[str, Look]) -> None:
    """Draw the mean score of the trained models."""
    _lines(ax, points, looks, _NO_EXACT)
    for at, (name, look) in enumerate(looks.items(), 1):
        for one in points[points["name"] == name].to_dict("records"):
            if one["seeds"] >= FEWEST:
                low, high = one[f"{metric}_low"], one[f"{metric}_high"]
                ax.hlines(at, low, high, look.colour, linewidth=0.7)
            ax.plot(one[metric], at, **look.marks(linestyle="none", markersize=4.0))
