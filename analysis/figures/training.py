"""Training curves."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis import formats
from analysis.budgets import LABELS
from analysis.figures import small_multiples
from analysis.figures.legend import (
    MOST_NAMED,
    band_mark,
    entry,
    mark,
    not_drawn,
    others_mark,
)
from analysis.figures.marks import band
from analysis.names import short_names
from analysis.page import PAGE, Page
from analysis.rows import families, places, shared, title
from analysis.runs import LINE, OWN, RUN, SCORES, points
from analysis.statistics.seeds import FEWEST, over_seeds
from analysis.style import DOTS, GREY, Look, looks_of, paper
from analysis.tables.training import TITLES, Compared, compared
from analysis.units import Against

_LOSS = "training loss"
_ORDER = (
    *("validation_bound", "test_bound", "validation_elbo", "test_elbo", "exact_loss", *OWN),
    *(f"{split}_{name}" for split in ("validation", "test") for name in OWN),
    *("train_bound", "train_elbo", *(f"train_{name}" for name in OWN)),
)
_EVALUATED = {
    name: TITLES[name] + (", {:,} samples" if name.endswith("_bound") else "") for name in _ORDER
}
_CROSS = {"marker": "x", "markersize": 6.5, "markeredgewidth": 1.4, "linestyle": "none"}
_MARKS = 8  # to a curve
_LETTERS = 26  # of a line of a label


def data(rows: pd.DataFrame, against: Against = "steps") -> pd.DataFrame:
    """Return the curve of every estimator at its best learning rate.

    That is the best at the largest budget that all runs have reached, as in the table. If all runs
    diverged at every rate, the rate of the run that diverged last is used.

    Returns:
        `panel`: "training loss", or a score that was evaluated during training; `estimator`,
        `short_name`, `method`, `optimiser`, `learning_rate`; `relaxed`: whether the values are
        those of the relaxed model; `curve`: "mean", "run" or "diverged"; `value`: of a mean, that
        over `seeds` runs, with its 95 % interval, `low` and `high`. The runs of a mean of two have
        curves of their own, and so has a run that diverged, with its `seed`; its last value is NaN,
        at the step where the loss became non-finite. `spent`: steps, evaluations of f per example,
        or seconds per run, up to the point, with those of all seeds of a mean averaged. In front,
        if the runs are of several problems: `place`.

    Raises:
        ValueError: if the table is not one for `analysis.training_table`, or no run has a finite
            loss.
    """
    each = small_multiples.each_of(_compared(rows, against), _all_curves)
    return _joined(each, rows)


def _compared(rows: pd.DataFrame, against: Against) -> dict[str, Compared]:
    return {place: compared(part, against) for place, part in places(rows).items()}


def _joined(each: Mapping[str, pd.DataFrame], rows: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of each place as one table, with names that are the same at every place."""
    curves = small_multiples.joined(each)
    curves["short_name"] = curves["estimator"].map(short_names(rows))
    return curves


def _all_curves(found: Compared) -> pd.DataFrame:
    """Return the curves of `data` at a place, up to whatever each run has spent."""
    lines = found.lines
    chosen = _chosen(lines)
    runs = found.runs.merge(chosen[list(LINE)])
    kinds = {_LOSS: points(runs, SCORES["loss"])}
    for name, text in _EVALUATED.items():
        evaluated = points(runs, SCORES[name])
        if evaluated["step"].nunique() > 1:
            kinds[text.format(evaluated["bound_samples"].iloc[0])] = evaluated
            break
    curves = pd.concat([_curves(part, runs).assign(panel=panel) for panel, part in kinds.items()])
    curves = curves.replace([np.inf, -np.inf], np.nan)
    if curves["value"].isna().all():
        raise ValueError("no run has a finite loss")
    about = lines.drop_duplicates("estimator").set_index("estimator")
    for place, name in enumerate(("short_name", "method"), 1):
        curves.insert(place, name, curves["estimator"].map(about[name]))
    relaxes = runs.loc[runs["relaxes"] == 1, "estimator"] if "relaxes" in runs else []
    curves["relaxed"] = (curves["panel"] == _LOSS) & curves["estimator"].isin(relaxes)
    curves.insert(0, "panel", curves.pop("panel"))
    return curves.reset_index(drop=True)


def draw(rows: pd.DataFrame, page: Page = PAGE, against: Against = "steps") -> Figure:
    """Draw training loss against steps, evaluations or seconds, and bounds during training.

    Curves are means over the seeds that did not diverge, with bands of their 95 % intervals, or of
    two seeds with both runs as thin lines; a run that diverged is a thin line that ends in a cross.
    The loss of a relaxed model is dotted. The vertical axis covers the means after the first tenth
    of training; higher values are clipped. The horizontal axis ends at the largest budget that all
    runs have reached. At most 12 estimators are named, the first of the table, of several problems
    by mean rank; the others are grey. Each problem has its own panels.

    Args:
        rows: a tidy table of training runs.
        page: the layout.
        against: the unit of the horizontal axis.

    Raises:
        ValueError: as `data`, or if there are too many problems for one figure.
    """
    parts, found = places(rows), _compared(rows, against)
    tables = {place: one.lines for place, one in found.items()}
    curves = _up_to_budget(found, rows, against)
    looks = _looks(tables, rows, curves)
    notes = _notes(curves)
    each = small_multiples.by_place(curves)
    kinds = {place: list(own["panel"].unique()) for place, own in each.items()}
    labels = {
        place: [_label(kind, _unit(parts[place], kind)) for kind in kinds[place]] for place in each
    }
    most = max(labels.values(), key=len)
    is_same = all(own == most for own in labels.values())
    with paper():
        names = [entry(look, name, line=True, note=notes[name]) for name, look in looks.items()]
        marks = _marks(curves, tables, curves["short_name"].nunique() - len(looks))
        marks += small_multiples.without_panel(parts, each)
        figure, grid = small_multiples.grid(
            page, title(rows, shared(rows)), [*each], most if is_same else [""] * len(most),
            LABELS[against], 1.8 if "place" in curves else 2.3, names, marks, sharex=False,
        )  # fmt: skip
        for (place, own), axes in zip(each.items(), grid, strict=True):
            for ax, kind, label in zip(axes, kinds[place], labels[place], strict=False):
                _panel(ax, own, kind, looks)
                if "place" not in curves:
                    ax.set(title=kind, ylabel=_unit(rows, kind))
                elif not is_same:
                    ax.set_ylabel(label)
            for ax in axes[len(kinds[place]) :]:
                ax.remove()
            last = axes[len(kinds[place]) - 1]
            last.set_xlabel(LABELS[against])
            last.tick_params(axis="x", labelbottom=True)
    return figure


def panel(ax: Axes, rows: pd.DataFrame, against: Against = "steps") -> None:
    """Draw the training loss into axes; named estimators have a label, for `ax.legend()`.

    Of several problems, the first is drawn.

    Args:
        ax: the axes.
        rows: as for `draw`.
        against: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    place, part = next(iter(places(rows).items()))
    found = {place: compared(part, against)}
    curves = _up_to_budget(found, part, against)
    looks = _looks({place: found[place].lines}, rows, curves)
    _panel(ax, curves, _LOSS, looks)
    ax.set_xlabel(LABELS[against])
    unit = _unit(part, _LOSS)
    ax.set_ylabel(f"{_LOSS} ({unit})" if unit else _LOSS)


def _up_to_budget(
    found: Mapping[str, Compared], rows: pd.DataFrame, against: Against
) -> pd.DataFrame:
    """Return the points up to the largest budget that all runs of a problem have reached."""
    each = small_multiples.each_of(found, _all_curves)
    for place, own in each.items():
        budget = found[place].budget
        each[place] = own[own["spent"] <= budget] if np.isfinite(budget) else own
    kept = _joined(each, rows)
    if kept["value"].isna().all():
        raise ValueError(f"no run has a finite loss at a budget of {against} that all reached")
    return kept


def _looks(
    tables: Mapping[str, pd.DataFrame], rows: pd.DataFrame, curves: pd.DataFrame
) -> dict[str, Look]:
    best = [_chosen(lines)["estimator"] for lines in tables.values()]
    order = [pd.Series(range(len(one)), one, dtype=float) for one in best]
    ranks = pd.concat(order, axis=1).rank(na_option="bottom").mean(axis=1)
    names = curves.drop_duplicates("estimator").set_index("estimator")["short_name"]
    shown = names.reindex(ranks.sort_values(kind="stable").index).dropna()[:MOST_NAMED]
    return looks_of(curves[curves["short_name"].isin(shown)], "short_name", families(rows))


def _unit(rows: pd.DataFrame, kind: str) -> str:
    in_nats = rows["metric"].isin(["negative_elbo", "negative_bound"]).any()
    is_own = any(name.replace("_", " ") in kind for name in OWN)
    return "nats" if in_nats and not is_own else ""


def _label(kind: str, unit: str) -> str:
    """Return the label of a vertical axis in a column of panels."""
    return textwrap.fill(f"{kind} ({unit})" if unit else kind, _LETTERS)


def _panel(ax: Axes, curves: pd.DataFrame, kind: str, looks: Mapping[str, Look]) -> None:
    """Draw one kind of the curves of a place."""
    first, last = curves["spent"].min(), curves["spent"].max()
    room = 0.02 * (last - first) or 1.0
    ax.set_xlim(first - room, last + room)
    part = curves[curves["panel"] == kind]
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=last >= 6))
    if last >= 6:
        ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_ylim(_heights(part))
    for name, line in part.groupby("short_name", sort=False):
        if name not in looks:
            mean = line[line["curve"] == "mean"].sort_values("step")
            line = DOTS if mean["relaxed"].any() else "-"
            style = {"color": GREY, "linestyle": line, "linewidth": 0.6}
            ax.plot(mean["spent"], mean["value"], **style, label="_", zorder=1)
    for place, (name, look) in enumerate(looks.items()):
        line = part[part["short_name"] == name].sort_values("step")
        if line["relaxed"].any():
            look = look._replace(line=DOTS)
        _mean(ax, line[line["curve"] == "mean"], look, name, place)
        for _, run in line[line["curve"] == "run"].groupby("seed"):
            ax.plot(run["spent"], run["value"], color=look.colour, lw=0.4, label="_")
        for _, run in line[line["curve"] == "diverged"].groupby("seed"):
            _diverged(ax, run, look, name)


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table line drawn for each estimator."""
    order = ["best", "diverged_last"]
    return table.sort_values(order, ascending=False, kind="stable").drop_duplicates("estimator")


def _notes(curves: pd.DataFrame) -> dict[str, str]:
    """Return the legend's notes by estimator: learning rate, and whether all runs diverged."""
    lines = curves.drop_duplicates(["short_name", "optimiser", "learning_rate"])
    texts = "rate " + lines["learning_rate"].map(formats.setting)
    if lines["optimiser"].nunique() > 1:
        texts = lines["optimiser"] + ", " + texts
    notes = texts.groupby(lines["short_name"]).agg(" or ".join).astype(str)
    failed = (curves["curve"] == "diverged").groupby(curves["short_name"]).all()
    notes += failed.map({True: ", all runs diverged", False: ""})
    return {str(name): note for name, note in notes.items()}


def _curves(part: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the runs that did not diverge, the runs of two, and each diverged run."""
    finished = part[part["diverged_at"].isna()]
    means = over_seeds(finished, [*LINE, "step"]).reset_index()
    means["spent"] = finished.groupby([*LINE, "step"], sort=False)["spent"].mean().to_numpy()
    columns = [*RUN, "step", "spent", "value", "low", "high"]
    count = finished.groupby(list(LINE))["seed"].transform("nunique")
    few = finished.loc[(count > 1) & (count < FEWEST), columns]
    diverged = part.loc[part["diverged_at"].notna(), columns]
    ends = runs[runs["diverged_at"].notna() & (runs["metric"] == "diverged")]
    # Its row comes with the next one of the loss.
    at = ends["spent"] * ends["diverged_at"] / ends["step"].clip(lower=1)
    ends = ends.assign(step=ends["diverged_at"], spent=at, value=np.nan, low=np.nan, high=np.nan)
    ends = ends[columns]
    kinds = (("mean", means), ("run", few), ("diverged", diverged), ("diverged", ends))
    return pd.concat(
        [lines.assign(curve=kind, seeds=lines.get("seeds", 1)) for kind, lines in kinds]
    )


def _left_out(curves: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the estimators that lack a curve (or a cross) in some panel."""
    kept = curves[curves["value"].notna() | (curves["curve"] == "diverged")]
    found: dict[str, None] = {}
    for place, own in small_multiples.by_place(kept).items():
        names = _chosen(tables[place])[["estimator", "short_name"]]
        drawn = own.groupby("estimator")["panel"].nunique()
        few = names["estimator"].map(drawn).fillna(0) < own["panel"].nunique()
        found |= dict.fromkeys(names.loc[few, "short_name"])
    return list(found)


def _marks(curves: pd.DataFrame, tables: Mapping[str, pd.DataFrame], others: int) -> list[Line2D]:
    marks = []
    means = curves[curves["curve"] == "mean"]
    if _has_band(means).any():
        several = (curves["seeds"] > 1).any()
        text = "95 % interval of the mean over seeds" if several else "95 % interval"
        marks.append(band_mark(text))
    if (curves["curve"] == "run").any():
        marks.append(mark("thin: the two runs of a mean", linestyle="-", linewidth=0.5))
    if curves["relaxed"].any():
        marks.append(mark("dotted: loss of the relaxed model", linestyle=DOTS))
    if (curves["curve"] == "diverged").any():
        marks.append(mark("a run that diverged", **_CROSS))
    several = any((lines["best"] & (lines["tried"] > 1)).any() for lines in tables.values())
    marks.append(mark(f"rate: {'the best learning rate' if several else 'learning rate'}"))
    marks += others_mark(others, small_multiples.rule("the best of the table", [*tables]))
    return marks + not_drawn(_left_out(curves, tables))


def _has_band(means: pd.DataFrame) -> pd.Series:
    return (means["low"] < means["high"]) & ((means["seeds"] == 1) | (means["seeds"] >= FEWEST))


def _heights(part: pd.DataFrame) -> tuple[float, float]:
    """Return limits that contain the means after the initial descent and most of their bands."""
    late = part[part["spent"] >= part["spent"].max() / 10]
    late = part if late["spent"].nunique() < 3 else late
    averages = late[late["curve"] == "mean"]
    means = averages["value"].dropna()
    if means.empty:  # all runs diverged: show the values below the first
        first = part.groupby(list(RUN))["value"].transform("first")
        means = part.loc[part["value"] <= first, "value"]
    if means.empty:
        return 0.0, 1.0
    low, high = means.min(), means.max()
    reach = high - low or abs(high) or 1.0
    # A band or a run far away would leave no room for the curves.
    shown = averages[_has_band(averages)]
    bottom = max(np.fmin(late["value"].min(), shown["low"].min()), low - reach / 2)
    others = late.loc[late["curve"] == "run", "value"].max()
    top = min(np.fmax(shown["high"].max(), others), high + reach / 2)
    return np.fmin(low, bottom) - reach / 20, np.fmax(high, top) + reach / 20


def _mean(ax: Axes, line: pd.DataFrame, look: Look, label: str, place: int) -> None:
    shown = line[_has_band(line)]
    if len(shown):
        band(ax, shown["spent"], shown["low"], shown["high"], look.colour)
    every = max(1, len(line) // _MARKS)
    # Staggered, so that markers do not overlap.
    style = look.marks(markevery=(place * 5 % every, every), markersize=3.5, label=label)
    ax.plot(line["spent"], line["value"], linestyle=look.line, **style)


def _diverged(ax: Axes, run: pd.DataFrame, look: Look, label: str) -> None:
    """Draw a run with a cross at the step where it diverged, at its last value."""
    bottom, top = ax.get_ylim()
    run = run.sort_values("step")
    end, heights = run["spent"].iloc[-1], run["value"].ffill()
    cross = np.clip(heights.fillna(top).iloc[-1], bottom, top)
    ax.plot(run["spent"], heights, color=look.colour, linestyle=look.line, linewidth=0.7)
    ax.plot(end, cross, color=look.colour, clip_on=False, zorder=4, label=label, **_CROSS)
