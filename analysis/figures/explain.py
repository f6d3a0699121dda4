"""Learning to explain: ranks of the features that matter, and errors of the gradient."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import traces
from analysis.figures.legend import entry, framed, mark
from analysis.figures.planes import ERRORS, plane, relative, wide
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import Look, looks_in_order, paper

_COLUMNS = ("name", "method", "law", "panel", "seed", "metric", "value", "low", "high")
_SIZES = {"xor": 2, "orange": 4, "additive": 4, "switch": 5}  # features that matter
_CHANCE = 5.5  # median rank of any of ten
LAWS = {
    "Subset": "conditional\nBernoulli",
    "PlackettLuceSubset": "Plackett-\nLuce",
    "Categorical": "with\nreplacement",
}
"""What the laws of the masks are called."""

_WIDE, _NARROW = "ABE;CDE", "AB;CD;EE"  # the last is the plane
_HEIGHTS = {_WIDE: 3.6, _NARROW: 5.8}


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `name` of the line, its `method` and its `law`; `panel`: a task, with the mean over `seeds`
        of `rank`, `found` and `excess`, each with `_low` and `_high`; or "gradients", with
        `squared_bias` and `variance` relative to the squared norm of the true gradient of its law,
        with `_low` and `_high`, and `upper_limit`: whether the squared bias is not distinguishable
        from zero.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    rows = without_predictions(rows)
    keys = ["panel", "law", "name", "method"]
    trained = over_seeds(rows[rows["panel"] != "gradients"], [*keys, "metric"]).reset_index()
    points = wide(trained, keys, ("rank", "found", "excess"))
    points["seeds"] = trained["seeds"].max()
    gradients = relative(rows[rows["panel"] == "gradients"], keys)
    return pd.concat([points, gradients], ignore_index=True)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the median rank on each task by law and estimator, and squared bias against variance.

    Bars are 95 % intervals over seeds.

    Args:
        rows: the tidy table of `estimax figure explain`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = looks_in_order(points, families(rows))
    seeds = int(points["seeds"].max())
    mosaic = _WIDE if page.columns(3) == 3 else _NARROW
    with paper():
        of_seeds = f"mean of {seeds} seeds" + (", 95 % interval" if seeds >= FEWEST else "")
        marks = [
            mark(of_seeds),
            mark("the best rank", color="0.2", linestyle="-", linewidth=0.7),
            mark("chance", color="0.2", linestyle=":", linewidth=0.9),
            mark("gradients: relative to the squared norm of the true one of their law"),
            *traces.marks(points[points["panel"] == "gradients"], ERRORS)[1:],
        ]
        figure = framed(
            page,
            "Median rank of the features that matter, among the k that explain an example",
            _HEIGHTS[mosaic],
            [entry(look, name) for name, look in looks.items()],
            marks,
        )
        ratios = [1, 1, 1.3] if mosaic == _WIDE else [1, 1]
        axes = figure.subplot_mosaic(mosaic, width_ratios=ratios)
        for place, task in zip("ABCD", _SIZES, strict=True):
            _ranks(axes[place], points, task, looks)
            axes[place].tick_params(labelleft=place in "AC")
            if place in "CD":
                axes[place].set_xlabel("median rank")
        plane(axes["E"], points[points["panel"] == "gradients"], looks)
        axes["E"].set_title("gradient, xor")
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the ranks on the last task into axes; points have a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    tasks = [task for task in _SIZES if (points["panel"] == task).any()]
    _ranks(ax, points, tasks[-1], looks_in_order(points, families(rows)))


def _ranks(ax: Axes, points: pd.DataFrame, task: str, looks: Mapping[str, Look]) -> None:
    """Draw the mean median rank, a line of points for each law."""
    order = points.drop_duplicates("name").set_index("name")["law"]
    own = points[points["panel"] == task]
    ticks, labels, height = [], [], 1.0
    for law, label in LAWS.items():
        names = [name for name in looks if order[name] == law]
        if names:
            ticks.append(height + (len(names) - 1) / 2)
            labels.append(label)
        for name in names:
            look, one = looks[name], own[own["name"] == name]
            at = [height] * len(one)
            if one["seeds"].max() >= FEWEST:
                ax.hlines(at, one["rank_low"], one["rank_high"], look.colour, linewidth=0.7)
            ax.plot(one["rank"], at, **look.marks(linestyle="none", label=name))
            height += 1
        height += 1.3 * bool(names)
    size = _SIZES[task]
    best = (size + 1) / 2
    ax.axvline(best, color="0.2", linewidth=0.7, zorder=0)
    ax.axvline(_CHANCE, color="0.2", linewidth=0.9, linestyle=":", zorder=0)
    ax.set(title=f"{task}, k = {size}", ylim=(height - 1.7, 0.4))
    ax.set_yticks(ticks, labels, fontsize=7)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(best - 0.3, max([_CHANCE, *own["rank"]]) + 0.3)
