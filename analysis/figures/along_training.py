"""Bias and variance of estimators during training."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import formats
from analysis.figures import traces
from analysis.figures.legend import entry, framed, mark, not_drawn
from analysis.names import wrap
from analysis.rows import TRAINING_CONTEXT, heading, is_complete, only_context, without_skipped
from analysis.runs import RUN, read
from analysis.style import looks_of, paper

_PANELS = {"variance": "variance (trace)", "squared_bias": "squared bias"}
_SUFFIXES = {"value": "", "low": "_low", "high": "_high"}
_NORM = {"color": "0.6", "linestyle": (0, (4, 2)), "linewidth": 0.9}
_LONGEST_TITLE = 48


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        The run: `estimator`, `optimiser`, `learning_rate`, `seed`. The measurement at the run's
        parameters: `measured`, `method` (of the measured estimator), `step`; `variance` and
        `squared_bias` with `_low` and `_high`; `upper_limit`: whether the squared bias is not
        distinguishable from zero; `truth_norm`: norm of the true gradient.

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
    points.insert(len(RUN) + 1, "method", points["measured"].str.partition("[")[0])
    points["upper_limit"] = traces.upper_limits(points)
    return points


def _left_out(points: pd.DataFrame) -> list[str]:
    present = [metric for metric in _PANELS if points[metric].notna().any()]
    return list(points.loc[points[present].isna().any(axis="columns"), "measured"].unique())


def _heading(rows: pd.DataFrame) -> str:
    measured, _ = without_skipped(rows[rows["measured"].fillna("") != ""])
    context = only_context(rows, TRAINING_CONTEXT)
    if "group" in measured and measured["group"].nunique() == 1:
        context["group"] = measured["group"].iloc[0]
    drawn = measured.reindex(columns=["measured", "samples"]).dropna()
    drawn = drawn.loc[drawn["measured"] != "Exact", "samples"]
    samples = (int(drawn.min()), int(drawn.max())) if len(drawn) else None
    return heading(context, complete=is_complete(rows), samples=samples)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw variance and squared bias against the training step.

    Errors are in squared units of the gradient, on logarithmic axes. Bands are 95 % intervals; a
    squared bias that is not distinguishable from zero is an arrow down from its upper limit; a grey
    line is the squared norm of the true gradient. Each run has its own row of panels, since the
    true gradients differ.

    Args:
        rows: a tidy table of training runs of one context, with rows in which `measured` is set.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    runs = dict(_runs(points))
    title = _heading(rows)
    if len(runs) == 1:
        title += f", during training with {next(iter(runs))}"
    look = looks_of(points, "measured")
    with paper():
        names = [entry(look[name], name, line=True) for name in look]
        marks = traces.marks(points, _PANELS)
        if points["truth_norm"].notna().any():
            marks.append(mark("squared norm of the true gradient", **_NORM))
        marks += not_drawn(_left_out(points))
        figure = framed(title, 2.5 * len(runs), names, marks)
        panels = figure.subplots(len(runs), len(_PANELS), sharex=True, squeeze=False)
        aside = _aside(points, look)
        for (name, run), axes in zip(runs.items(), panels, strict=True):
            if len(runs) > 1:
                text = "\n".join(wrap(f"trained with {name}", _LONGEST_TITLE))
                axes[0].set_title(text.replace("$", r"\$"), loc="left", fontsize=7)
            for ax, (metric, label) in zip(axes, _PANELS.items(), strict=True):
                ax.set(yscale="log", ylabel=label)
                ax.xaxis.set_major_formatter("{x:,.0f}")
                traces.set_heights(ax, run, metric)
                _norm(ax, run)
                for each in look:
                    line = run[run["measured"] == each].sort_values("step")
                    line = line.assign(step=line["step"] + aside[each])
                    if len(line):
                        traces.trace(ax, line, "step", metric, look[each], label=each)
        for ax in panels[-1]:
            ax.set(xlabel="training step", xlim=_span(points["step"]))
    return figure


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
