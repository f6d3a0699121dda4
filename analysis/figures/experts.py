"""Routers of a mixture of experts, a line for each: bias, variance, test error, use of experts."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import framed, limit_mark, mark
from analysis.figures.marks import ROUNDING, left_arrow
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import Look, looks_of, paper

_COLUMNS = (
    *("panel", "name", "method", "objective", "step", "load_weight", "seed", "metric"),
    *("value", "low", "high"),
)
_QUANTITIES = {
    "squared_bias": "squared bias",
    "variance": "variance",
    "error": "test error",
    "usage": "use of experts",
}
_MEASURED = ("squared_bias", "variance")
_EVERYBODY = "softmax-weighted"
_DRAWN = Look("#333333", "D")
"""Of the softmax-weighted router, which is no estimator."""

_LINE, _ROOM = 0.17, 0.75  # inches of a line, and of titles and axes
_ASIDE = 0.17  # of a line's height, from the middle to the marks of either condition
_HOLLOW = {"marker": "o", "markerfacecolor": "white"}
_OTHER = "E CE(probability x output)"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `panel`: "top 1" or "top 2"; `name`, `method`; `quantity`: `squared_bias` and `variance` of
        the router's gradient over the squared norm of the true one, `cosine_mean`, or `error`,
        `usage` and `idle` of the trained hard model on test images; `condition`: "start" or
        "trained", or "without load loss" or "with load loss"; `objective`: of the measured ones,
        that of the true gradient; `value`, `low`, `high`, `seeds`; `upper_limit`: whether a squared
        bias is not distinguishable from zero.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    rows = without_predictions(rows)
    check(rows, _COLUMNS)
    found = pd.concat([_measured(rows), _trained(rows)], ignore_index=True)
    limits = (found["low"] <= 0) & (found["high"] > 0) & (found["quantity"] == "squared_bias")
    return found.assign(upper_limit=limits)


def _measured(rows: pd.DataFrame) -> pd.DataFrame:
    own = rows[rows["split"].isna()]
    place = ["panel", "name", "objective", "step"]
    norms = own[own["metric"] == "truth_norm"].set_index(place)["value"]
    own = own[own["metric"] != "truth_norm"].reset_index(drop=True)
    scale = norms.loc[pd.MultiIndex.from_frame(own[place])].to_numpy() ** 2
    scale = np.where(own["metric"] == "cosine_mean", 1, scale)
    values = {name: own[name] / scale for name in ("value", "low", "high")}
    condition = own["step"].map(lambda step: "trained" if step else "start")
    kept = own[["panel", "name", "method", "objective"]]
    return kept.assign(quantity=own["metric"], condition=condition, **values)


def _trained(rows: pd.DataFrame) -> pd.DataFrame:
    own = rows[rows["split"].notna()].assign(low=np.nan, high=np.nan)
    by = ["panel", "name", "method", "objective", "metric", "load_weight"]
    means = over_seeds(own, by).reset_index()
    names = {False: "without load loss", True: "with load loss"}
    condition = (means["load_weight"] > 0).map(names)
    means = means.rename(columns={"metric": "quantity"}).drop(columns="load_weight")
    return means.assign(condition=condition)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw a line for each router: bias, variance, test error and use of the experts.

    Bias and variance are those of the router's gradient relative to the true gradient of E f,
    hollow at the start and full after training; the diamond of the softmax-weighted router beside
    the line is its bias for the objective that has the probability in f. Error and use are those
    of the hard model, full without and hollow with the load loss.

    Args:
        rows: the tidy table of `estimax figure experts`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    lines = list(points[["panel", "name"]].drop_duplicates().itertuples(index=False, name=None))
    looks = _looks(points, families(rows))
    with paper():
        marks = [
            mark("hollow: gradient at the start; model with load loss", **_HOLLOW),
            mark("full: gradient after training; model without load loss", marker="o"),
            mark(f"small: against the gradient of {_OTHER}", marker="D", markersize=2.5),
            mark("on the axis: zero", linestyle="-", linewidth=1.5),
        ]
        if points["seeds"].max() >= FEWEST:
            marks.append(mark("95 % interval", marker="_", markersize=8))
        if points["upper_limit"].any():
            marks.append(limit_mark(across=True))
        across = page.columns(len(_QUANTITIES))
        down = len(_QUANTITIES) // across
        height = (_LINE * len(lines) + _ROOM) * down
        figure = framed(page, "Routers of a mixture of eight experts, MNIST", height, [], marks)
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        for ax, (quantity, title) in zip(grid.flat, _QUANTITIES.items(), strict=True):
            _panel(ax, points[points["quantity"] == quantity], lines, looks)
            ax.set_title(title)
            if quantity in _MEASURED:
                ax.set_xlabel(r"relative to $|g|^2$")
            elif quantity == "error":
                ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            else:
                ax.set_xlabel("perplexity over number")
                ax.set_xlim(0, 1.03)
    return figure


def _looks(points: pd.DataFrame, known: Mapping[str, str]) -> dict[str, Look]:
    own = points[points["name"] != _EVERYBODY].drop_duplicates("name")
    return looks_of(own, "name", known) | {_EVERYBODY: _DRAWN}


def _panel(
    ax: Axes,
    points: pd.DataFrame,
    lines: list[tuple[str, str]],
    looks: Mapping[str, Look],
) -> None:
    panels = [panel for panel, _ in lines]
    names = [_label(panels, at) + name for at, (_, name) in enumerate(lines)]
    ax.set_yticks(range(1, len(lines) + 1), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(lines) + 0.5, 0.5)
    for at in _first(panels):
        if at:
            ax.axhline(at + 0.5, color="0.6", linewidth=0.6)
    ax.grid(axis="y", color="0.93", linewidth=0.5)
    ax.set_axisbelow(True)
    measured = points["quantity"].isin(_MEASURED).any()
    if measured:
        ax.set_xscale("log")
        shown = points["value"].where(~points["upper_limit"], points["high"])
        positive = shown[shown > ROUNDING * shown.max()]
        if len(positive):
            ax.set_xlim(positive.min() / 2, positive.max() * 2)
    for at, (panel, name) in enumerate(lines):
        own = points[(points["panel"] == panel) & (points["name"] == name)]
        for one in own.itertuples(index=False):
            _mark(ax, one, at + 1, looks[name])


def _label(panels: list[str], at: int) -> str:
    """Return the panel's name where it begins."""
    return f"{panels[at]}:  " if at in _first(panels) else ""


def _first(panels: list[str]) -> Iterable[int]:
    return [at for at, name in enumerate(panels) if not at or panels[at - 1] != name]


def _mark(ax: Axes, one, at: int, look: Look) -> None:
    """Draw one value, beside the middle of its line by its condition."""
    first = one.condition in ("start", "without load loss")
    hollow = one.condition in ("start", "with load loss")
    y = at + (-_ASIDE if first else _ASIDE)
    value = one.high if one.upper_limit else one.value
    is_log = ax.get_xscale() == "log"
    if is_log and value <= ax.get_xlim()[0]:
        if value < 0:  # an estimate without an interval: it is not zero
            return
        value = ax.get_xlim()[0]
    elif one.upper_limit:
        left_arrow(ax, (value, y), look)
    elif np.isfinite(one.low) and np.isfinite(one.high):
        low, high = np.clip([one.low, one.high], *ax.get_xlim()) if is_log else (one.low, one.high)
        ax.hlines(y, low, high, look.colour, linewidth=0.7)
    small = one.quantity in _MEASURED and one.objective == _OTHER
    size = 2.5 if small else 4.0
    drawn = look.hollow if hollow else look
    ax.plot(value, y, **drawn.marks(linestyle="none", clip_on=False, markersize=size))
