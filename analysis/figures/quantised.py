"""Codes of an autoencoder: rate against distortion, use of the codes, bias and variance."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import entry, framed, limit_mark, mark
from analysis.figures.marks import ROUNDING, label_decades, left_arrow
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import Look, looks_of, paper

_COLUMNS = (
    *("name", "method", "problem", "codes", "seed", "metric", "split"),
    *("value", "low", "high", "note"),
)
_SCORES = ("distortion", "rate", "usage", "used")
_MEASURED = {"squared_bias": "squared bias", "variance": "variance"}
_DETERMINISTIC = {
    "straight-through VQ": Look("#333333", "D", line=(0, (5, 1.5))),
    "rotation": Look("#56B4E9", "P"),
}
"""The styles of what is no estimator."""

_NO_LAW = "no law: no bias to measure"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `name`, `method`; `quantity`: `distortion` (mean squared error of a pixel), `rate` (bits per
        image), `usage` and `used` of hard codes of test images, by the number of `codes`; or
        `squared_bias` and `variance` of the encoder's gradient over the squared norm of the true
        one, with two positions of 16 codes; or `skipped`, with the reason as `note`; `value`,
        `low`, `high`, `seeds`; `upper_limit`: whether a squared bias is not distinguishable from
        zero.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    rows = without_predictions(rows)
    check(rows, _COLUMNS)
    trained = rows[rows["split"].notna()].assign(low=np.nan, high=np.nan)
    means = over_seeds(trained, ["name", "method", "metric", "codes"]).reset_index()
    own = rows[rows["split"].isna()]
    norm = own.loc[own["metric"] == "truth_norm", "value"].iloc[0]
    own = own[own["metric"] != "truth_norm"][
        ["name", "method", "metric", "value", "low", "high", "note"]
    ]
    own = own.assign(**own[["value", "low", "high"]].astype(float) / norm**2)
    found = pd.concat([means, own], ignore_index=True).rename(columns={"metric": "quantity"})
    limits = (found["low"] <= 0) & (found["high"] > 0) & (found["quantity"] == "squared_bias")
    return found.assign(upper_limit=limits)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw distortion against rate and the use of codes over codebooks, and the gradient's errors.

    Each curve goes from few codes to many. Bias and variance are those of the encoder's gradient
    where it is exact; deterministic quantisers have neither.

    Args:
        rows: the tidy table of `estimax figure vector-quantised`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = _looks(points, families(rows))
    with paper():
        marks = []
        if points["seeds"].max() >= FEWEST:
            marks.append(mark("95 % interval", marker="|", markersize=8))
        if points["upper_limit"].any():
            marks.append(limit_mark(across=True))
        across = page.columns(2)
        figure = framed(
            page,
            "Images of MNIST as codes",
            2.0 * (2 // across) + (0.55 + 0.15 * len(looks)) * (2 // across),
            [entry(look, name, line=True) for name, look in looks.items()],
            marks,
        )
        grid = figure.subplots(
            4 // across, across, squeeze=False, height_ratios=_heights(len(looks), across)
        ).flat
        _plane(grid[0], points, looks)
        _use(grid[1], points, looks)
        for ax, (quantity, title) in zip(list(grid)[2:], _MEASURED.items(), strict=True):
            _errors(ax, points, quantity, looks)
            ax.set_title(f"{title} of the encoder's gradient")
            ax.set_xlabel(r"2 positions of 16 codes, relative to $|g|^2$")
        if across == 2:
            grid[3].tick_params(labelleft=False)
    return figure


def _heights(lines: int, across: int) -> list[float]:
    below = 0.4 + 0.15 * lines
    return [2.0, below] if across == 2 else [2.0, 2.0, below, below]


def _looks(points: pd.DataFrame, known: Mapping[str, str]) -> dict[str, Look]:
    names = list(dict.fromkeys(points["name"]))
    estimators = points[~points["name"].isin(_DETERMINISTIC)].drop_duplicates("name")
    found = _DETERMINISTIC | looks_of(estimators, "name", known)
    return {name: found[name] for name in names}


def _wide(points: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return value, low and high of each score by the number of codes."""
    own = points[(points["name"] == name) & points["quantity"].isin(_SCORES)]
    return own.pivot(index="codes", columns="quantity", values=["value", "low", "high"])


def _plane(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    for name, look in looks.items():
        own = _wide(points, name)
        x, y = own["value", "rate"], own["value", "distortion"]
        ax.vlines(x, own["low", "distortion"], own["high", "distortion"], look.colour, lw=0.6)
        ax.hlines(y, own["low", "rate"], own["high", "rate"], look.colour, lw=0.6)
        ax.plot(x, y, **look.marks(linestyle=look.line, markersize=3.5, linewidth=0.8))
    ax.set(xlabel="rate (bits per image)", ylabel="distortion (mean squared error)")
    ax.set_yscale("log")
    label_decades(ax.yaxis, (1, 1.5, 2, 3, 5, 7))
    ax.set_title("test images, hard codes")


def _use(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    for name, look in looks.items():
        own = _wide(points, name)
        x = own.index.to_numpy(float)
        ax.vlines(x, own["low", "usage"], own["high", "usage"], look.colour, lw=0.6)
        style = look.marks(linestyle=look.line, markersize=3.5, linewidth=0.8)
        ax.plot(x, own["value", "usage"], **style)
    ax.set_xscale("log", base=2)
    codes = sorted(points["codes"].dropna().unique())
    ax.set_xticks(codes, [f"{one:g}" for one in codes])
    ax.set(xlabel="codes K", ylabel="use (perplexity over K)", ylim=(0, 1.03))
    ax.set_title("use of the codes")


def _errors(ax: Axes, points: pd.DataFrame, quantity: str, looks: Mapping[str, Look]) -> None:
    """Draw one of bias and variance, a line for each name."""
    own = points[points["quantity"] == quantity]
    found = {row["name"]: row for row in own.to_dict("records")}
    names = [name for name in looks if name in found or name in _DETERMINISTIC]
    ax.set_yticks(range(1, len(names) + 1), names)
    ax.tick_params(axis="y", length=0)
    ax.set(xscale="log", ylim=(len(names) + 0.5, 0.5))
    ax.grid(axis="y", color="0.93", linewidth=0.5)
    ax.set_axisbelow(True)
    values = own["value"].where(~own["upper_limit"], own["high"])
    positive = values[values > ROUNDING * values.max()]
    low, high = (positive.min() / 2, positive.max() * 2) if len(positive) else (0.1, 1.0)
    ax.set_xlim(low, high)
    for at, name in enumerate(names, 1):
        if name not in found:
            ax.annotate(_NO_LAW, (low, at), (3, 0), textcoords="offset points", va="center",
                        fontsize=7, color="0.4", backgroundcolor="white")  # fmt: skip
            continue
        look, one = looks[name], found[name]
        value = one["high"] if one["upper_limit"] else one["value"]
        if one["upper_limit"]:
            left_arrow(ax, (value, at), look)
        elif np.isfinite(one["low"]):
            ax.hlines(at, max(one["low"], low), min(one["high"], high), look.colour, lw=0.7)
        if value > 0:
            style = look.marks(linestyle="none", markersize=4.0, clip_on=False)
            ax.plot(max(value, low), at, **style)
