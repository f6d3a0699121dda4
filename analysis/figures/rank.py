"""The rank of each estimator over training."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.budgets import LABELS, known_of_all
from analysis.figures import small_multiples
from analysis.figures.legend import MOST_NAMED, band_mark, framed, mark, others_mark
from analysis.figures.marks import band
from analysis.names import wrap
from analysis.page import PAGE, Page
from analysis.rows import families, places, shared, title
from analysis.runs import LINE, RUN, SCORES
from analysis.style import GREY, Look, looks_of, paper
from analysis.tables.training import TITLES, compared
from analysis.units import Against

_MOST_BUDGETS = 50
_MOST_ROWS = 36
_ROW = 0.19  # inches
_MARKS = 8  # to a line
_LETTERS = 8.5  # of a name, to an inch of the figure
_LINE = 0.6  # a further line of a name, to a row
_ROOM = 0.01  # at either side, of the width of the axes


class _Ranked(NamedTuple):
    ranks: pd.DataFrame
    score: str
    budget: float
    left_out: Sequence[str]


def data(rows: pd.DataFrame, against: Against = "steps") -> pd.DataFrame:
    """Return the rank of each estimator at the budgets at which something is known.

    Estimators are ranked, at each seed, by their last value at or below the budget: of the first
    score that all runs have at several steps (`--evaluations N`), else of the training loss, a mean
    over its logging interval. Each is at its best learning rate at the whole budget, the largest
    that all runs have reached. The loss of a relaxed model is not ranked, nor is an estimator with
    runs that diverged. Before an estimator has a value, the others are ranked without it.

    Returns:
        In front, if the runs are of several problems: `place`.
        `estimator`, `short_name`, `method`, `learning_rate`; `spent`: the budget, of steps,
        evaluations of f per example, or seconds per run; `rank`, 1 for the best: the mean over the
        `seeds` that all estimators have; `low` and `high`: the least and the greatest over them.

    Raises:
        ValueError: if the table is not one for `analysis.training_table`, or fewer than two
            estimators can be ranked.
    """
    each = _each(rows, against)
    return small_multiples.joined({place: ranked.ranks for place, ranked in each.items()})


def draw(rows: pd.DataFrame, page: Page = PAGE, against: Against = "steps") -> Figure:
    """Draw the mean rank over seeds against steps, evaluations or seconds, with its range.

    Names are written at the ends of the lines, in the order of the last ranks. At most 12
    estimators are named, those of the best last ranks; the others are grey. Each problem has a
    panel below the one before, with its own ranks.

    Args:
        rows: a tidy table of training runs.
        page: the layout.
        against: the unit of the horizontal axis.

    Raises:
        ValueError: as `data`.
    """
    each = _each(rows, against)
    orders = {place: _order(ranked.ranks) for place, ranked in each.items()}
    looks = _looks(pd.concat([one.ranks for one in each.values()]), orders.values(), rows)
    with paper():
        written = {place: _written(order, page.width) for place, order in orders.items()}
        heights = [
            0.65 + _ROW * min(_rows(texts.values()).sum(), _MOST_ROWS) for texts in written.values()
        ]
        marks = [*_marks(each, orders), *small_multiples.without_panel(places(rows), each)]
        figure = framed(page, title(rows, shared(rows)), sum(heights), [], marks)
        grid = figure.subplots(len(each), height_ratios=heights, squeeze=False)
        for (place, ranked), (ax,) in zip(each.items(), grid, strict=True):
            _draw(ax, ranked.ranks, looks, written[place])
            ax.set_title(place.replace("$", r"\$"), fontsize=7)
        grid[-1][0].set_xlabel(LABELS[against])
    return figure


def panel(ax: Axes, rows: pd.DataFrame, against: Against = "steps") -> None:
    """Draw the ranks into axes, with names beside them; of several problems, those of the first.

    Args:
        ax: the axes.
        rows: as for `draw`.
        against: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    ranks = next(iter(_each(rows, against).values())).ranks
    order = _order(ranks)
    _draw(ax, ranks, _looks(ranks, [order], rows), _written(order, PAGE.width))
    ax.set_xlabel(LABELS[against])


def _each(rows: pd.DataFrame, against: Against) -> dict[str, _Ranked]:
    return small_multiples.each_place(rows, lambda part: _ranked(part, against))


def _ranked(rows: pd.DataFrame, against: Against) -> _Ranked:
    runs, scores, budget, _, _, lines, _ = compared(rows, against)
    best = lines[lines["best"]].drop_duplicates("estimator").set_index("estimator")
    steps = {name: found.groupby(list(RUN))["step"] for name, found in scores.items()}
    several = {name: scores[name][steps[name].transform("nunique") > 1] for name in scores}
    score = known_of_all({**several, "loss": scores["loss"]}, scores)
    kept = best[best["diverged"] == 0]
    if score == "loss" and "relaxes" in runs:
        kept = kept.drop(runs.loc[runs["relaxes"] == 1, "estimator"].unique(), errors="ignore")
    found = scores[score].merge(kept.reset_index()[list(LINE)])
    wide = _by_run(found[found["spent"] <= budget])
    names = wide.columns.get_level_values("estimator").unique()
    if len(names) < 2:
        raise ValueError(f"fewer than two estimators can be ranked by {TITLES[score]}")
    seeds = [
        seed
        for seed, own in wide.T.groupby(level="seed")
        if set(own.index.get_level_values("estimator")) == set(names)
    ]
    if not seeds:
        raise ValueError("the estimators have no seed in common, by which to rank them")
    sign = -1 if SCORES[score].higher_is_better else 1
    each = np.stack(
        [(sign * wide.xs(seed, axis=1, level="seed")[names]).rank(axis=1) for seed in seeds]
    )
    shape = pd.MultiIndex.from_product([wide.index, names], names=["spent", "estimator"])
    ranks = pd.DataFrame(index=shape)
    ranks["rank"], ranks["low"], ranks["high"] = (
        kind(each, axis=0).ravel() for kind in (np.mean, np.min, np.max)
    )
    ranks = ranks.dropna().assign(seeds=len(seeds)).reset_index()
    for place, name in enumerate(("short_name", "method", "learning_rate")):
        ranks.insert(place, name, ranks["estimator"].map(best[name]))
    ranks.insert(0, "estimator", ranks.pop("estimator"))
    shown = set(ranks["short_name"])
    left_out = [name for name in lines["short_name"].unique() if name not in shown]
    return _Ranked(ranks, score, budget, left_out)


def _by_run(found: pd.DataFrame) -> pd.DataFrame:
    """Return the last value of each run at each budget: `[budgets, (estimator, seed)]`."""
    wide = found.groupby(["spent", "estimator", "seed"])["value"].last().unstack([1, 2])
    wide = wide.sort_index().ffill()
    if len(wide) <= _MOST_BUDGETS:
        return wide
    budgets = np.linspace(0, wide.index[-1], _MOST_BUDGETS + 1)[1:]
    return wide.reindex(pd.Index(budgets, name="spent"), method="ffill")


def _order(ranks: pd.DataFrame) -> list[str]:
    """Return the names in the order of their last ranks."""
    last = ranks[ranks["spent"] == ranks["spent"].max()]
    return list(last.sort_values("rank", kind="stable")["short_name"])


def _looks(
    ranks: pd.DataFrame, orders: Iterable[Sequence[str]], rows: pd.DataFrame
) -> dict[str, Look]:
    named = {name for order in orders for name in order[:MOST_NAMED]}
    shown = ranks[ranks["short_name"].isin(named)]
    return looks_of(shown, "short_name", families(rows))


def _marks(each: Mapping[str, _Ranked], orders: Mapping[str, Sequence[str]]) -> list[Line2D]:
    said: dict[str, list[str]] = {}
    counts = dict.fromkeys(int(one.ranks["seeds"].iloc[0]) for one in each.values())
    for place, ranked in each.items():
        what = "the mean over a logging interval" if ranked.score == "loss" else "as evaluated"
        said.setdefault(f"ranked by {TITLES[ranked.score]}, {what}", []).append(place)
        if ranked.left_out:
            said.setdefault(f"not ranked: {', '.join(ranked.left_out)}", []).append(place)
    seeds = " or ".join(map(str, counts))
    marks = [band_mark(f"least and greatest rank of {seeds} seeds")] if max(counts) > 1 else []
    marks += [
        mark(text if len(some) == len(each) else f"{', '.join(some)}: {text}")
        for text, some in said.items()
    ]
    others = max(0, *(len(order) - MOST_NAMED for order in orders.values()))
    return [*marks, *others_mark(others, "the best at the end")]


def _written(names: Iterable[str], width: float) -> dict[str, str]:
    """Return the names as they are written beside a figure of a width, in lines."""
    return {name: "\n".join(wrap(name, int(_LETTERS * width))) for name in names}


def _rows(texts: Iterable[str]) -> np.ndarray:
    """Return the heights of the rows of names, in those of a name of one line."""
    return np.array([1 + _LINE * text.count("\n") for text in texts])


def _draw(
    ax: Axes, ranks: pd.DataFrame, looks: Mapping[str, Look], written: Mapping[str, str]
) -> None:
    end = ranks["spent"].max()
    count = len(written)
    ax.set(xlim=(-_ROOM * end, (1 + _ROOM) * end), ylim=(count + 0.5, 0.5), ylabel="rank")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=bool(end >= 5)))
    if end >= 5:
        ax.xaxis.set_major_formatter("{x:,.0f}")
    rows = _rows(written.values())
    centres = 0.5 + count * (rows.cumsum() - rows / 2) / rows.sum()
    for place, (name, text) in enumerate(written.items()):
        line = ranks[ranks["short_name"] == name].sort_values("spent")
        look = looks.get(name)
        if look is None:
            ax.plot(line["spent"], line["rank"], color=GREY, linewidth=0.6, label="_", zorder=1)
            continue
        band(ax, line["spent"], line["low"], line["high"], look.colour)
        every = max(1, len(line) // _MARKS)
        style = look.marks(markevery=(place * 5 % every, every), markersize=3.5, label=name)
        ax.plot(line["spent"], line["rank"], linestyle=look.line, **style)
        # The last ranks of several may be equal, so each name has a row of its own.
        across = ax.get_yaxis_transform()
        ends = [line["rank"].iloc[-1], centres[place]]
        tie = {"color": look.colour, "linewidth": 0.4, "clip_on": False}
        ax.plot([1 - _ROOM, 1.03], ends, transform=across, label="_", **tie)
        style = {"color": look.colour, "fontsize": 7, "linespacing": 0.9, "va": "center"}
        ax.text(1.04, centres[place], text.replace("$", r"\$"), transform=across, **style)
