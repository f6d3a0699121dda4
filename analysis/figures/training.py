"""Training curves."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import formats
from analysis.figures.legend import band_mark, entry, framed, mark, not_drawn
from analysis.figures.marks import band
from analysis.runs import LINE, RUN, SCORES, points, read, trained
from analysis.statistics.seeds import over_seeds
from analysis.style import Look, looks_of, paper
from analysis.tables.training import training_table

_LOSS = "training loss"
_EVALUATED = {
    "validation_bound": "negative validation bound, {:,} samples",
    "test_bound": "negative test bound, {:,} samples",
    "validation_elbo": "negative validation ELBO",
    "test_elbo": "negative test ELBO",
    "exact_loss": "exact loss",
    "validation_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
    "train_bound": "negative training bound, {:,} samples",
    "train_elbo": "negative training ELBO",
    "train_accuracy": "training accuracy",
}
_CROSS = {"marker": "x", "markersize": 6.5, "markeredgewidth": 1.4, "linestyle": "none"}
_MARKS = 8  # to a curve


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the curve of every estimator at its best learning rate.

    If all runs diverged at every rate, the rate of the run that diverged last is used.

    Returns:
        `panel`: "training loss", or a score that was evaluated during training; `estimator`,
        `method`, `optimiser`, `learning_rate`; `value`: the mean over `seeds` runs, with its 95 %
        interval, `low` and `high`. A run that diverged is a separate curve, with its `seed`; its
        last value is NaN, at the step where the loss became non-finite.

    Raises:
        ValueError: if the table is not one for `analysis.training_table`, or no run has a finite
            loss.
    """
    lines = training_table(rows).frame
    chosen = _chosen(lines)
    runs = trained(read(rows)).merge(chosen[list(LINE)])
    kinds = {_LOSS: points(runs, SCORES["loss"])}
    for name, title in _EVALUATED.items():
        evaluated = points(runs, SCORES[name])
        if evaluated["step"].nunique() > 1:
            kinds[title.format(evaluated["bound_samples"].iloc[0])] = evaluated
            break
    curves = pd.concat([_curves(part, runs).assign(panel=panel) for panel, part in kinds.items()])
    curves = curves.replace([np.inf, -np.inf], np.nan)
    if curves["value"].isna().all():
        raise ValueError("no run has a finite loss")
    methods = dict(zip(lines["estimator"], lines["method"], strict=True))
    curves.insert(1, "method", curves["estimator"].map(methods))
    curves.insert(0, "panel", curves.pop("panel"))
    return curves.reset_index(drop=True)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw training loss against step, and bounds that were evaluated during training.

    Curves are means over the seeds that did not diverge, with bands of their 95 % intervals; a run
    that diverged is a thin line that ends in a cross. The vertical axis covers the means after the
    first tenth of training; higher values are clipped.

    Args:
        rows: a tidy table of training runs of one context.

    Raises:
        ValueError: as `data`.
    """
    table, curves = training_table(rows), data(rows)
    in_nats = rows["metric"].isin(["negative_elbo", "negative_bound"]).any()
    look = looks_of(curves, "estimator")
    notes = _notes(curves)
    with paper():
        names = [entry(look[name], name, line=True, note=notes[name]) for name in look]
        figure = framed(table.heading, 2.7, names, _marks(curves, table.frame))
        kinds = list(curves["panel"].unique())
        panels = figure.subplots(1, len(kinds), squeeze=False)[0]
        for ax, kind in zip(panels, kinds, strict=True):
            part = curves[curves["panel"] == kind]
            ax.set(xlabel="training step", title=kind, xlim=(0, 1.02 * part["step"].max()))
            ax.set_ylabel("nats" if in_nats and "accuracy" not in kind else "")
            ax.xaxis.set_major_formatter("{x:,.0f}")
            ax.set_ylim(_heights(part))
            for place, name in enumerate(look):
                line = part[part["estimator"] == name]
                _mean(ax, line[line["seed"].isna()], look[name], name, place)
                for _, run in line.groupby("seed"):
                    _diverged(ax, run, look[name], name)
    return figure


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table line drawn for each estimator."""
    order = ["best", "diverged_last"]
    return table.sort_values(order, ascending=False, kind="stable").drop_duplicates("estimator")


def _notes(curves: pd.DataFrame) -> dict[str, str]:
    """Return the legend's notes by estimator: learning rate, and whether all runs diverged."""
    lines = curves.drop_duplicates("estimator").set_index("estimator")
    notes = "rate " + lines["learning_rate"].map(formats.setting)
    if lines["optimiser"].nunique() > 1:
        notes = lines["optimiser"] + ", " + notes
    failed = curves["seed"].notna().groupby(curves["estimator"]).all()
    notes += failed.map({True: ", all runs diverged", False: ""})
    return {str(name): note for name, note in notes.items()}


def _curves(part: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the runs that did not diverge, and each diverged run."""
    finished = part[part["diverged_at"].isna()]
    means = over_seeds(finished, [*LINE, "step"]).reset_index()
    columns = [*RUN, "step", "value", "low", "high"]
    diverged = part.loc[part["diverged_at"].notna(), columns]
    ends = runs[runs["diverged_at"].notna()].drop_duplicates(list(RUN))
    ends = ends.assign(step=ends["diverged_at"], value=np.nan, low=np.nan, high=np.nan)[columns]
    return pd.concat([means, diverged.assign(seeds=1), ends.assign(seeds=1)])


def _left_out(curves: pd.DataFrame, names: pd.Series) -> list[str]:
    """Return the estimators that lack a curve (or a cross) in some panel."""
    kept = curves[curves["value"].notna() | curves["seed"].notna()]
    drawn = kept.groupby("estimator")["panel"].nunique().reindex(names, fill_value=0)
    return list(drawn.index[drawn < curves["panel"].nunique()])


def _marks(curves: pd.DataFrame, lines: pd.DataFrame) -> list[Line2D]:
    marks = []
    means = curves[curves["seed"].isna()]
    if (means["low"] < means["high"]).any():
        several = (curves["seeds"] > 1).any()
        text = "95 % interval of the mean over seeds" if several else "95 % interval"
        marks.append(band_mark(text))
    if curves["seed"].notna().any():
        marks.append(mark("a run that diverged", **_CROSS))
    several = (lines["best"] & (lines["tried"] > 1)).any()
    marks.append(mark(f"rate: {'the best learning rate' if several else 'learning rate'}"))
    return marks + not_drawn(_left_out(curves, _chosen(lines)["estimator"]))


def _heights(part: pd.DataFrame) -> tuple[float, float]:
    """Return limits that contain the means after the initial descent and most of their bands."""
    late = part[part["step"] >= part["step"].max() / 10]
    late = part if late["step"].nunique() < 3 else late
    means = late.loc[late["seed"].isna(), "value"].dropna()
    if means.empty:  # all runs diverged: show the values below the first
        first = part.groupby(list(RUN))["value"].transform("first")
        means = part.loc[part["value"] <= first, "value"]
    if means.empty:
        return 0.0, 1.0
    low, high = means.min(), means.max()
    reach = high - low or abs(high) or 1.0
    # Two seeds have wide bands, which would leave no room for the curves.
    bottom = max(np.fmin(late["value"].min(), late["low"].min()), low - reach / 2)
    top = min(late.loc[late["seed"].isna(), "high"].max(), high + reach / 2)
    return np.fmin(low, bottom) - reach / 20, np.fmax(high, top) + reach / 20


def _mean(ax: Axes, line: pd.DataFrame, look: Look, label: str, place: int) -> None:
    line = line.sort_values("step")
    band(ax, line["step"], line["low"], line["high"], look.colour)
    every = max(1, len(line) // _MARKS)
    # Staggered, so that markers do not overlap.
    style = look.marks(markevery=(place * 5 % every, every), markersize=3.5, label=label)
    ax.plot(line["step"], line["value"], linestyle=look.line, **style)


def _diverged(ax: Axes, run: pd.DataFrame, look: Look, label: str) -> None:
    """Draw a run with a cross at the step where it diverged, at its last value."""
    bottom, top = ax.get_ylim()
    run = run.sort_values("step")
    end, heights = run["step"].iloc[-1], run["value"].ffill()
    cross = np.clip(heights.fillna(top).iloc[-1], bottom, top)
    ax.plot(run["step"], heights, color=look.colour, linestyle=look.line, linewidth=0.7)
    ax.plot(end, cross, color=look.colour, clip_on=False, zorder=4, label=label, **_CROSS)
