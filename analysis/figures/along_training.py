"""Bias and variance of estimators during training."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import formats
from analysis.figures import traces
from analysis.figures.legend import entry, framed, mark, named, not_drawn, others_mark
from analysis.names import short_names, wrap
from analysis.page import PAGE, Page
from analysis.rows import TRAINING_CONTEXT, families, only_context, title, without_skipped
from analysis.runs import RUN, read
from analysis.style import GREY, Look, looks_of, paper

_PANELS = {"variance": "variance (trace)", "squared_bias": "squared bias"}
_SUFFIXES = {"value": "", "low": "_low", "high": "_high"}
_NORM = {"color": "0.6", "linestyle": (0, (4, 2)), "linewidth": 0.9}
_TITLE = 18  # letters of a run's title to an inch


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        The run: `estimator`, `optimiser`, `learning_rate`, `seed`. The measurement at the run's
        parameters: `measured`, `short_name` and `method` (of the measured estimator), `step`;
        `variance` and `squared_bias` with `_low` and `_high`; `upper_limit`: whether the squared
        bias is not distinguishable from zero; `truth_norm`: norm of the true gradient.

    Raises:
        ValueError: if the table is not one for `analysis.training_table`, or has no finite
            measurement during training.
    """
    rows = read(rows)
    measured, _ = without_skipped(rows[rows["measured"] != ""])
    if measured.empty:
        raise ValueError("nothing was measured during training")
    keys = [*RUN, "measured", "step"]
    wide = measured.pivot(index=keys, columns="metric", values=list(_SUFFIXES))
    points = pd.DataFrame(index=wide.index)
    for metric in _PANELS:
        for kind, suffix in _SUFFIXES.items():
            known = (kind, metric) in wide
            points[metric + suffix] = wide[kind, metric].astype(float) if known else np.nan
    norm = ("value", "truth_norm")
    points["truth_norm"] = wide[norm].astype(float) if norm in wide else np.nan
    points = points.replace([np.inf, -np.inf], np.nan).reset_index()
    if points[list(_PANELS)].isna().all(axis=None):
        raise ValueError("no finite value was measured during training")
    short = short_names(rows[rows["measured"] != ""], "measured")
    points.insert(len(RUN) + 1, "short_name", points["measured"].map(short))
    points.insert(len(RUN) + 2, "method", points["measured"].str.partition("[")[0])
    points["upper_limit"] = traces.upper_limits(points)
    return points


def _left_out(points: pd.DataFrame) -> list[str]:
    present = [metric for metric in _PANELS if points[metric].notna().any()]
    return list(points.loc[points[present].isna().any(axis="columns"), "short_name"].unique())


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw variance and squared bias against the training step.

    Errors are in squared units of the gradient, on logarithmic axes. Bars are 95 % intervals; a
    squared bias that is not distinguishable from zero is an arrow down from its upper limit; a grey
    line is the squared norm of the true gradient. Each run has its own row of panels, since the
    true gradients differ. At most 12 estimators are named, those of the least mean squared error at
    the last step; the others are grey.

    Args:
        rows: a tidy table of training runs of one context, with rows in which `measured` is set.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    runs = dict(_runs(points))
    looks = _looks(rows, points)
    with paper():
        names = [entry(look, name, line=True) for name, look in looks.items()]
        marks = traces.marks(points, _PANELS)
        if points["truth_norm"].notna().any():
            marks.append(mark("squared norm of the true gradient", **_NORM))
        others = points["short_name"].nunique() - len(looks)
        marks += others_mark(others, "the least errors at the last step")
        marks += not_drawn(_left_out(points))
        across = page.columns(len(_PANELS))
        down = len(_PANELS) // across
        context = only_context(rows, TRAINING_CONTEXT) | _group(rows)
        figure = framed(page, title(rows, context), 2.2 * down * len(runs), names, marks)
        grid = figure.subplots(len(runs) * down, across, sharex=True, squeeze=False)
        panels = grid.reshape(len(runs), len(_PANELS))
        for (name, run), axes in zip(runs.items(), panels, strict=True):
            if len(runs) > 1 or page.titles:
                text = "\n".join(wrap(f"trained with {name}", int(_TITLE * page.width / across)))
                axes[0].set_title(text.replace("$", r"\$"), loc="left", fontsize=7)
            for ax, metric in zip(axes, _PANELS, strict=True):
                _panel(ax, points, run, metric, looks)
        for ax in grid[-1]:
            ax.set_xlabel("training step")
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the variance along the first run into axes; named estimators have a label.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    _panel(ax, points, next(_runs(points))[1], "variance", _looks(rows, points))
    ax.set_xlabel("training step")


def _looks(rows: pd.DataFrame, points: pd.DataFrame) -> dict[str, Look]:
    last = points[points["step"] == points["step"].max()]
    errors = (last["variance"] + last["squared_bias"].clip(lower=0)).groupby(last["short_name"])
    names = points["short_name"].unique()
    shown = named(errors.mean().reindex(names).to_frame("error"))
    return looks_of(points[points["short_name"].isin(shown)], "short_name", families(rows))


def _group(rows: pd.DataFrame) -> dict[str, str]:
    """Return the parameters of the measured gradients, if they are known and the same in all."""
    measured, _ = without_skipped(rows[rows["measured"].fillna("") != ""])
    groups = measured["group"].dropna().unique() if "group" in measured else []
    return {"group": groups[0]} if len(groups) == 1 else {}


def _panel(
    ax: Axes, points: pd.DataFrame, run: pd.DataFrame, metric: str, looks: Mapping[str, Look]
) -> None:
    ax.set(yscale="log", ylabel=_PANELS[metric], xlim=_span(points["step"]))
    ax.xaxis.set(major_locator=MaxNLocator(6, integer=True), major_formatter="{x:,.0f}")
    traces.set_heights(ax, run, metric)
    _norm(ax, run)
    aside = _aside(points, looks)
    for name, line in run.sort_values("step").groupby("short_name", sort=False):
        if name not in looks:
            heights = traces.heights(line, metric)
            shown = heights.where(heights >= ax.get_ylim()[0])
            ax.plot(line["step"], shown, color=GREY, linewidth=0.6, label="_", zorder=1)
    for name, look in looks.items():
        line = run[run["short_name"] == name].sort_values("step")
        line = line.assign(step=line["step"] + aside[name])
        if len(line):
            traces.trace(ax, line, "step", metric, look, label=name)


def _runs(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for _, run in points.groupby(list(RUN), sort=False):
        first = run.iloc[0]
        rate = formats.setting(first["learning_rate"])
        name = f"{first['estimator']}, {first['optimiser']}, learning rate {rate}"
        yield f"{name}, seed {first['seed']}", run


def _aside(points: pd.DataFrame, order: Iterable[str]) -> dict[str, float]:
    """Return the horizontal offset of each estimator, so that error bars do not overlap."""
    steps = np.unique(points["step"])
    names = list(order)
    least, most = _span(points["step"])
    room = min([(most - least) / 40, *np.diff(steps) / 2])
    return dict(zip(names, np.linspace(-room / 2, room / 2, len(names)), strict=True))


def _span(steps: pd.Series) -> tuple[float, float]:
    room = 0.05 * np.ptp(steps) or max(1.0, steps.max() / 2)
    return steps.min() - room, steps.max() + room


def _norm(ax: Axes, run: pd.DataFrame) -> None:
    squared = run.groupby("step")["truth_norm"].first() ** 2
    squared = squared[squared > 0]
    bottom, top = ax.get_ylim()
    ax.plot(squared.index, squared, **_NORM, marker="_" if len(squared) == 1 else "", zorder=1)
    # A norm far below the errors is clipped.
    ax.set_ylim(bottom, np.nanmax([top, *(2 * squared)]))
