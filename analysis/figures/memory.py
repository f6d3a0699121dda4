"""A soft machine and a distribution over machines: losses, directions and what is learned."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.legend import bar_mark, framed, mark
from analysis.page import PAGE, Page
from analysis.rows import check, without_predictions
from analysis.statistics.seeds import over_seeds
from analysis.style import HUES, paper

_COLUMNS = (
    *("problem", "name", "graph", "probability", "learning_rate", "seed", "steps", "metric"),
    *("value", "low", "high"),
)
_LOSSES = {"soft_loss": "soft machine", "exact_loss": "distribution over machines"}
_COSINES = {"soft": "soft machine", "expectation": "distribution over machines"}
_COLOURS = {
    "soft machine": HUES["relaxations"],
    "distribution over machines": HUES["score_function"],
}
_MARKERS = {"soft machine": "o", "distribution over machines": "D"}
_SHADES = {2: HUES["antithetic"], 3: HUES["enumeration"]}
_ASIDE = 0.14  # of a row, between marks that would overlap


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        Lines of three kinds. `panel` "loss": the `value` of a `curve`, the soft machine or the
        distribution over machines, for a `problem` at `probability`. "direction": the mean cosine
        between the mean gradient of `name` and that of a `curve`, over random logits. "solved": the
        share of starts from which `name` ends at a perfect machine, for `symbols`, at the better of
        its learning rates, `learning_rate`. `low` and `high`: the 95 % interval.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    rows = without_predictions(rows)
    loss = rows[rows["probability"].notna()]
    loss = loss.assign(panel="loss", curve=loss["metric"].map(_LOSSES))
    cosines = rows[rows["metric"] == "cosine_mean"].assign(panel="direction")
    cosines["curve"] = cosines["graph"].map(_COSINES)
    mean = over_seeds(
        cosines.assign(low=np.nan, high=np.nan), ["panel", "name", "curve"]
    ).reset_index()
    mean[["low", "high"]] = mean[["low", "high"]].clip(-1, 1)
    ends = rows[(rows["metric"] == "rounded_loss") & rows["learning_rate"].notna()]
    ends = ends.assign(panel="solved", symbols=_symbols(ends["problem"]), value=ends["value"] == 0)
    shares = ends.groupby(["panel", "name", "symbols", "learning_rate"], sort=False)["value"]
    solved = shares.agg(["mean", "sum", "size"]).reset_index()
    solved = solved.rename(columns={"mean": "value", "size": "seeds"})
    # Agresti and Coull (1998): two more successes and two more failures.
    count = solved["seeds"] + 4
    middle = (solved["sum"] + 2) / count
    half = 2 * np.sqrt(middle * (1 - middle) / count)
    solved = solved.assign(low=(middle - half).clip(0), high=(middle + half).clip(upper=1))
    best = solved.groupby(["name", "symbols"], sort=False)["value"].idxmax()
    columns = ["panel", "name", "symbols", "problem", "curve", "probability", "learning_rate"]
    columns += ["seeds", "value", "low", "high"]
    parts = [part.dropna(axis="columns", how="all") for part in (loss, mean, solved.loc[best])]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def _symbols(problems: pd.Series) -> pd.Series:
    found = problems.str.extract(r"symbols=(\d+)", expand=False)
    return found.fillna("2").astype(int)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw both losses, the directions of the estimators' mean gradients, and what they learn.

    Args:
        rows: the tidy table of `estimax figure memory`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    solved = points[points["panel"] == "solved"]
    names = list(solved["name"].unique())
    wide = page.columns(2) == 2
    with paper():
        machines = [mark(name, **_style(name), linestyle="-") for name in _COLOURS]
        entries = [
            mark(f"{n:g} symbols", color=_SHADES[n], marker="s") for n in solved["symbols"].unique()
        ]
        steps = rows["steps"].max()
        figure = framed(
            page,
            "A soft machine and a distribution over machines: the controls of a neural stack",
            (1.7 if wide else 3.4) + (0.9 + 0.17 * len(names)) * (1 if wide else 2),
            machines + entries,
            [bar_mark(), mark(f"{solved['seeds'].max():g} random starts, {steps:g} steps")],
        )
        mosaic = "AB;CD" if wide else "A;B;C;D"
        heights = [1.5, 0.4 + 0.17 * len(names)]
        ratios = heights if wide else [1.5, 1.5, *heights[1:] * 2]
        axes = figure.subplot_mosaic(mosaic, height_ratios=ratios)
        _coin(axes["A"], points)
        _reversal(axes["B"], points)
        _directions(axes["C"], points, names)
        _solved(axes["D"], solved, names)
        if wide:
            axes["D"].tick_params(labelleft=False)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the shares of starts that end at a perfect machine into axes, labelled by symbols.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    solved = points[points["panel"] == "solved"]
    _solved(ax, solved, list(solved["name"].unique()))


def _style(curve: str) -> dict[str, str]:
    return {"color": _COLOURS[curve], "marker": _MARKERS[curve]}


def _coin(ax: Axes, points: pd.DataFrame) -> None:
    own = points[points["problem"].fillna("").str.contains("coin")]
    _curves(ax, own, "-")
    ax.plot([0, 1], [0.5, 0.5], "ks", markersize=3, clip_on=False, zorder=4)
    ax.annotate(
        "every machine", (0.5, 0.5), (0, 3), textcoords="offset points", fontsize=7, ha="center"
    )
    ax.set(title="a fair coin", xlabel="probability of predicting 1", ylabel="loss")
    ax.set(xlim=(0, 1), ylim=(0.2, 0.56))


def _reversal(ax: Axes, points: pd.DataFrame) -> None:
    own = points[(points["panel"] == "loss") & ~points["problem"].fillna("").str.contains("coin")]
    for symbols, part in own.groupby(_symbols(own["problem"])):
        _curves(ax, part, "-" if symbols == 2 else "--")
        ax.annotate(
            f"{symbols} symbols", (0, part["value"].max()), (4, 3),
            textcoords="offset points", fontsize=7,
        )  # fmt: skip
    ax.set(title="reversal", xlabel="probability of the right bits", ylabel="loss")
    ax.set(xlim=(0, 1), ylim=(0, None))


def _curves(ax: Axes, part: pd.DataFrame, line: str) -> None:
    for curve, own in part.groupby("curve", sort=False):
        ax.plot(own["probability"], own["value"], line, color=_COLOURS[str(curve)], linewidth=1)


def _directions(ax: Axes, points: pd.DataFrame, names: list[str]) -> None:
    own = points[points["panel"] == "direction"]
    for place, curve in enumerate(_COLOURS):
        part = own[own["curve"] == curve].set_index("name").reindex(names)
        y = _places(names) + _ASIDE * (2 * place - 1)
        _marks(ax, part, y, **_style(curve))
    _rows(ax, names)
    ax.set(title="mean gradient", xlabel="cosine with the gradient of a loss", xlim=(None, 1.04))


def _solved(ax: Axes, solved: pd.DataFrame, names: list[str]) -> None:
    each = list(solved["symbols"].unique())
    for place, symbols in enumerate(each):
        part = solved[solved["symbols"] == symbols].set_index("name").reindex(names)
        y = _places(names) + _ASIDE * (2 * place - len(each) + 1)
        _marks(ax, part, y, color=_SHADES[int(symbols)], marker="s", label=f"{symbols:g} symbols")
    _rows(ax, names)
    ax.set(title="perfect machines", xlabel="share of random starts", xlim=(-0.03, 1.03))


def _marks(
    ax: Axes, part: pd.DataFrame, y: np.ndarray, color: str, marker: str, label: str = "_"
) -> None:
    ax.hlines(y, part["low"], part["high"], color, linewidth=0.8)
    ax.plot(part["value"], y, marker, color=color, markersize=3.5, linestyle="none", label=label)


def _places(names: list[str]) -> np.ndarray:
    return np.arange(1, len(names) + 1)


def _rows(ax: Axes, names: list[str]) -> None:
    ax.set_yticks(_places(names), names)
    ax.set_ylim(len(names) + 0.5, 0.5)
    ax.grid(axis="y", color="0.92", linewidth=0.5)
