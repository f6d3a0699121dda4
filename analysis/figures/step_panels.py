"""Panels of measured errors against the training step, a row of panels for each run."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import small_multiples, traces
from analysis.figures.legend import entry, framed, mark, named, not_drawn, others_mark
from analysis.names import wrap
from analysis.page import Page
from analysis.style import GREY, Look, looks_of, paper

_NORM = {"color": "0.6", "linestyle": (0, (4, 2)), "linewidth": 0.9}
_STEPS = {1: 6, 2: 6, 3: 3}
"""The most intervals between labelled steps, by the number of panels in a row."""

_TITLE = 18  # letters of a run's title to an inch


def draw(
    points: pd.DataFrame,
    runs: Mapping[str, pd.DataFrame],
    panels: Mapping[str, str],
    families: Mapping[str, str],
    title: str,
    page: Page,
) -> Figure:
    """Draw metrics against the training step, on logarithmic axes.

    Bars are 95 % intervals; a squared bias that is not distinguishable from zero is an arrow down
    from its upper limit; a grey line is the squared norm of the true gradient. Each run has its own
    row of panels, since the true gradients differ. At most 12 estimators are named, those of the
    least mean squared error at the last step, of several runs by mean rank; the others are grey.

    Args:
        points: the points of all runs, as for `traces.heights`, with `short_name`, `method`,
            `step`, `variance`, `squared_bias` and `truth_norm`.
        runs: the points of each run, by its name, such as "trained with DisARM".
        panels: the labels of the metrics, by name.
        families: the family of each method.
        title: the title.
        page: the layout.
    """
    looks = _looks(points, runs, families)
    with paper():
        names = [entry(look, name, line=True) for name, look in looks.items()]
        marks = traces.marks(points, panels)
        if points["truth_norm"].notna().any():
            marks.append(mark("squared norm of the true gradient", **_NORM))
        others = points["short_name"].nunique() - len(looks)
        said = small_multiples.rule("the least errors at the last step", [*runs])
        marks += others_mark(others, said)
        marks += not_drawn(_left_out(points, panels))
        across = page.columns(len(panels))
        down = len(panels) // across
        figure = framed(page, title, 2.2 * down * len(runs), names, marks)
        grid = figure.subplots(len(runs) * down, across, sharex=True, squeeze=False)
        for (name, run), axes in zip(runs.items(), grid.reshape(len(runs), -1), strict=True):
            if len(runs) > 1 or page.titles:
                text = "\n".join(wrap(name, int(_TITLE * page.width / across)))
                axes[0].set_title(text.replace("$", r"\$"), loc="left", fontsize=7)
            for ax, (metric, label) in zip(axes, panels.items(), strict=True):
                _panel(ax, points, run, metric, looks, _STEPS[across])
                ax.set_ylabel(label)
        for ax in grid[-1]:
            ax.set_xlabel("training step")
    return figure


def panel(
    ax: Axes,
    points: pd.DataFrame,
    runs: Mapping[str, pd.DataFrame],
    metric: str,
    families: Mapping[str, str],
) -> None:
    """Draw a metric along the first run into axes, as `draw`; named estimators have a label.

    Args:
        ax: the axes.
        points: as for `draw`.
        runs: as for `draw`.
        metric: the metric.
        families: as for `draw`.
    """
    looks = _looks(points, runs, families)
    _panel(ax, points, next(iter(runs.values())), metric, looks, _STEPS[1])
    ax.set_xlabel("training step")


def _looks(
    points: pd.DataFrame, runs: Mapping[str, pd.DataFrame], families: Mapping[str, str]
) -> dict[str, Look]:
    last = pd.concat(
        run[run["step"] == run["step"].max()].assign(place=name) for name, run in runs.items()
    )
    last["error"] = last["variance"] + last["squared_bias"].clip(lower=0)
    ranks = small_multiples.ranked(last, "short_name", "error")
    shown = named(ranks.reindex(points["short_name"].unique()).to_frame())
    return looks_of(points[points["short_name"].isin(shown)], "short_name", families)


def _left_out(points: pd.DataFrame, panels: Iterable[str]) -> list[str]:
    present = [metric for metric in panels if points[metric].notna().any()]
    return list(points.loc[points[present].isna().any(axis="columns"), "short_name"].unique())


def _panel(
    ax: Axes,
    points: pd.DataFrame,
    run: pd.DataFrame,
    metric: str,
    looks: Mapping[str, Look],
    intervals: int,
) -> None:
    ax.set(yscale="log", xlim=_span(points["step"]))
    steps = MaxNLocator(intervals, integer=True, steps=[1, 2, 5, 10])
    ax.xaxis.set(major_locator=steps, major_formatter="{x:,.0f}")
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
