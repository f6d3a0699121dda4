"""Bias, variance and error of estimators by group of parameters, relative to the true gradient."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import small_multiples, traces
from analysis.figures.legend import entry, framed, named, not_drawn, others_mark
from analysis.names import short_names, wrap
from analysis.page import PAGE, Page
from analysis.rows import families, places, shared, title
from analysis.style import GREY, Look, looks_of, paper
from analysis.tables.comparison import measurements

_PANELS = {
    "squared_bias": "squared bias",
    "variance": "variance (noise to signal)",
    "mse": "mean squared error",
}
_FACTS = ["estimator", "short_name", "method", "unbiased", "evaluations", "samples"]
_WIDTH = 0.7  # of the points of a group, the distance of groups being 1
_ROOM = {"height": 2.0, "letter": 0.045}  # inches of panels, and of a letter of a group's name


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `group`; `estimator`, `short_name`, `method`, `unbiased`, `evaluations`, `samples`;
        `squared_bias`, `variance` and `mse` with `_low` and `_high`, each divided by the squared
        norm of the true gradient with respect to the group; that norm, `truth_norm`; and
        `upper_limit`: whether the squared bias is not distinguishable from zero. In front, if
        several steps or training runs were measured: `place`.

    Raises:
        ValueError: if the table is not one of a measurement, has one group, or no value is finite.
    """
    columns = [metric + suffix for metric in _PANELS for suffix in ("", "_low", "_high")]
    found = []
    for place, several in places(rows, without=["group"]).items():
        for part in places(several).values():
            table = measurements(part)
            points = table.frame[_FACTS + columns].assign(truth_norm=table.settings["truth_norm"])
            points["truth_norm"] = points["truth_norm"].astype(float)
            points[columns] = points[columns].div(points["truth_norm"] ** 2, axis="index")
            points.insert(0, "group", table.context["group"])
            points.insert(0, "place", place)
            found.append(points)
    points = pd.concat(found, ignore_index=True).replace([np.inf, -np.inf], np.nan)
    if points["group"].nunique() < 2:
        raise ValueError("the result table has one group of parameters")
    if points[list(_PANELS)].isna().all(axis=None):
        raise ValueError("no finite value was measured")
    # The same in every group, also where an estimator of the same short name was skipped.
    points["short_name"] = points["estimator"].map(short_names(rows))
    points = points.assign(upper_limit=traces.upper_limits(points))
    return points if (points["place"] != "").any() else points.drop(columns="place")


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw squared bias, variance and mean squared error of each group, on logarithmic axes.

    All are relative to the squared norm of the true gradient with respect to the group. Bars are
    95 % intervals; a squared bias that is not distinguishable from zero is an arrow down from its
    upper limit; zeros lie on the axis. At most 12 estimators are named, those of the least relative
    error, averaged over the groups on the logarithmic axis; the others are grey. Each step or
    training run of a measurement with `--at` has its own row of panels.

    Args:
        rows: a tidy result table of a measurement of several groups.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    looks = _looks(rows, points)
    groups = list(dict.fromkeys(points["group"]))
    with paper():
        names = [entry(look, name) for name, look in looks.items()]
        marks = traces.marks(points, _PANELS, linestyle="none", marker="o")
        others = points["short_name"].nunique() - len(looks)
        marks += others_mark(others, "the least errors", linestyle="none", marker=".")
        marks += not_drawn(_left_out(points))
        across = page.columns(len(_PANELS))
        down = len(_PANELS) // across
        measured = small_multiples.by_place(points)
        below = _ROOM["letter"] * max(map(len, groups))
        height = (_ROOM["height"] * down) * len(measured) + below
        figure = framed(page, title(rows, shared(rows)), height, names, marks)
        grid = figure.subplots(down * len(measured), across, sharex=True, squeeze=False)
        each = grid.reshape(len(measured), -1)
        for (place, own), axes in zip(measured.items(), each, strict=True):
            for ax, (metric, label) in zip(axes, _PANELS.items(), strict=True):
                _panel(ax, own, groups, metric, looks)
                ax.set_title(label)
            text = "\n".join(wrap(place, 32)).replace("$", r"\$")
            axes[0].set_ylabel("\n".join(filter(None, (text, r"relative to $|g|^2$"))))
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the relative mean squared error into axes; named estimators have a label.

    Of several places, the first is drawn.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    groups = list(dict.fromkeys(points["group"]))
    own = next(iter(small_multiples.by_place(points).values()))
    _panel(ax, own, groups, "mse", _looks(rows, points))
    ax.set_ylabel(rf"{_PANELS['mse']} relative to $|g|^2$")


def _looks(rows: pd.DataFrame, points: pd.DataFrame) -> dict[str, Look]:
    errors = points["variance"] + points["squared_bias"].clip(lower=0)
    with np.errstate(divide="ignore"):  # no error
        errors = errors.transform(np.log)
    errors = errors.groupby(points["short_name"]).mean()
    shown = named(errors.reindex(points["short_name"].unique()).to_frame("error"))
    return looks_of(points[points["short_name"].isin(shown)], "short_name", families(rows))


def _left_out(points: pd.DataFrame) -> list[str]:
    present = [metric for metric in _PANELS if points[metric].notna().any()]
    return list(points.loc[points[present].isna().any(axis="columns"), "short_name"].unique())


def _panel(
    ax: Axes, points: pd.DataFrame, groups: list[str], metric: str, looks: Mapping[str, Look]
) -> None:
    ax.set(yscale="log", xlim=(-0.5, len(groups) - 0.5))
    ax.set_xticks(range(len(groups)), groups)
    turned = 90 if sum(map(len, groups)) > 16 else 0
    ax.tick_params(axis="x", length=0, labelrotation=turned)
    for between in range(1, len(groups)):
        ax.axvline(between - 0.5, color="0.9", linewidth=0.6, zorder=0)
    traces.set_heights(ax, points, metric)
    at = points["group"].map({group: place for place, group in enumerate(groups)}).astype(float)
    points = points.assign(at=at)
    grey = points[~points["short_name"].isin(looks)]
    heights = traces.heights(grey, metric)
    shown = heights.where(heights >= ax.get_ylim()[0])
    ax.plot(grey["at"], shown, color=GREY, linestyle="none", marker=".", label="_", zorder=1)
    for (name, look), aside in zip(looks.items(), _aside(looks), strict=True):
        own = points[points["short_name"] == name].dropna(subset=[metric])
        if len(own):  # no line: groups have no order
            own = own.assign(at=own["at"] + aside)
            traces.trace(ax, own, "at", metric, look._replace(line="none"), label=name)


def _aside(names: Iterable[str]) -> np.ndarray:
    """Return the horizontal offset of each estimator within a group."""
    size = len(list(names))
    return (np.arange(size) - (size - 1) / 2) * _WIDTH / max(size - 1, 1)
