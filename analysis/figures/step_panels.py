"""Panels of measured errors against the training step, a row of panels for each run."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import traces
from analysis.figures.legend import entry, framed, mark, not_drawn
from analysis.names import wrap
from analysis.style import looks_of, paper

_NORM = {"color": "0.6", "linestyle": (0, (4, 2)), "linewidth": 0.9}
_LONGEST_TITLE = 48


def draw(
    points: pd.DataFrame,
    runs: Mapping[str, pd.DataFrame],
    by: str,
    panels: Mapping[str, str],
    title: str,
) -> Figure:
    """Draw metrics against the training step, on logarithmic axes.

    Bands are 95 % intervals; a squared bias that is not distinguishable from zero is an arrow down
    from its upper limit; a grey line is the squared norm of the true gradient. Each run has its own
    row of panels, since the true gradients differ.

    Args:
        points: the points of all runs, as for `traces.heights`, with `step` and `truth_norm`.
        runs: the points of each run, by its name.
        by: the column that names a line.
        panels: the labels of the metrics, by name.
        title: the title.
    """
    look = looks_of(points, by)
    with paper():
        names = [entry(look[name], name, line=True) for name in look]
        marks = traces.marks(points, panels)
        if points["truth_norm"].notna().any():
            marks.append(mark("squared norm of the true gradient", **_NORM))
        marks += not_drawn(_left_out(points, by, panels))
        figure = framed(title, 2.5 * len(runs), names, marks)
        grid = figure.subplots(len(runs), len(panels), sharex=True, squeeze=False)
        aside = _aside(points, look)
        for (name, run), axes in zip(runs.items(), grid, strict=True):
            if len(runs) > 1:
                text = "\n".join(wrap(f"trained with {name}", _LONGEST_TITLE))
                axes[0].set_title(text.replace("$", r"\$"), loc="left", fontsize=7)
            for ax, (metric, label) in zip(axes, panels.items(), strict=True):
                ax.set(yscale="log", ylabel=label)
                ax.xaxis.set_major_formatter("{x:,.0f}")
                traces.set_heights(ax, run, metric)
                _norm(ax, run)
                for each in look:
                    line = run[run[by] == each].sort_values("step")
                    line = line.assign(step=line["step"] + aside[each])
                    if len(line):
                        traces.trace(ax, line, "step", metric, look[each], label=each)
        for ax in grid[-1]:
            ax.set(xlabel="training step", xlim=_span(points["step"]))
    return figure


def _left_out(points: pd.DataFrame, by: str, panels: Iterable[str]) -> list[str]:
    present = [metric for metric in panels if points[metric].notna().any()]
    return list(points.loc[points[present].isna().any(axis="columns"), by].unique())


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
