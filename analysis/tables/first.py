"""Which estimator is first at each part of a training budget."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import formats
from analysis.budgets import at, known_of_all, written
from analysis.runs import LINE, SCORES
from analysis.statistics.seeds import over_seeds
from analysis.statistics.ties import may_be_least
from analysis.text import listed
from analysis.units import Against

PARTS = {"eighth": 1 / 8, "quarter": 1 / 4, "half": 1 / 2, "whole": 1.0}
"""The parts of the budget at which estimators are compared."""

_WRITTEN = {"eighth": "1/8", "quarter": "1/4", "half": "1/2", "whole": "All"}


class First(NamedTuple):
    """Who is first at each budget.

    Attributes:
        columns: of each line: for each of `PARTS`, the score at that budget, and `PART_place`:
            "first", "tied" (not distinguishable from the first) or "".
        notes: sentences that say it.
        settings: for each part its `PART_budget`, and the score `PART_ranked_by`.
    """

    columns: pd.DataFrame
    notes: Sequence[str] = ()
    settings: Mapping[str, str | float | None] = {}


def first_at_parts(
    lines: pd.DataFrame,
    scores: Mapping[str, pd.DataFrame],
    budget: float,
    against: Against,
    choosing: Sequence[str],
    titles: Mapping[str, str],
    relaxed: Collection[str],
) -> First:
    """Return which estimator is first at each part of a budget, with those tied with it.

    At each part, estimators are compared by the first score that all runs have by then, else by the
    training loss; that of a relaxed model is not compared. Each is at the learning rate that was
    best by then: of the fewest diverged runs, and of these, the first by `choosing`. A mean without
    the runs that diverged would be too optimistic, so estimators that have any are not compared.

    Args:
        lines: the lines of the table of training runs.
        scores: the points of each score, of runs that did not diverge, with what was `spent`.
        budget: the whole budget.
        against: its unit.
        choosing: the scores that choose learning rates, the most important first.
        titles: the titles of the scores.
        relaxed: the estimators whose loss is that of the relaxed model.

    Returns:
        Nothing if there are fewer than two estimators without diverged runs.
    """
    share = lines["diverged"] / lines["seeds"]
    diverged = share.groupby(lines["estimator"]).transform("min") > 0
    columns = pd.DataFrame(index=lines.index)
    if lines.loc[~diverged, "estimator"].nunique() < 2 or not np.isfinite(budget):
        return First(columns)
    said: dict[str, str] = {}
    ranked_by: dict[str, str] = {}
    chosen_by: set[str] = set()
    settings: dict[str, str | float | None] = {}
    is_relaxed = lines["estimator"].isin(list(relaxed))
    seeds = 0
    for part, fraction in PARTS.items():
        last = {name: at(points, fraction * budget) for name, points in scores.items()}
        score, choice = known_of_all(last, scores), known_of_all(last, choosing)
        means = over_seeds(last[score], LINE).reindex(pd.MultiIndex.from_frame(lines[list(LINE)]))
        each = lines.join(means[["value", "low", "high"]].reset_index(drop=True))
        own = _best(each[~(diverged | (is_relaxed & (score == "loss")))], last[choice], choice)
        paired = _paired(own, last[score])
        own = own.assign(place=_places(own, paired, score))
        columns[part] = each["value"]
        columns[f"{part}_place"] = own["place"].reindex(lines.index).fillna("")
        settings |= {f"{part}_budget": fraction * budget, f"{part}_ranked_by": score}
        seeds = max(seeds, paired.shape[1])
        said[part], ranked_by[part] = _sentence(own), score
        chosen_by |= {choice} - {score}
    is_one = len(set(ranked_by.values())) == 1
    rates = ""
    if (lines["tried"] > 1).any():
        criterion = f" (by {', '.join(titles[one] for one in SCORES if one in chosen_by)})"
        rates = f", each at its best learning rate by then{criterion * bool(chosen_by)}"
    ties = "tied: not distinguishable from the first (paired test over seeds, 95 % at each budget)"
    ties = ties if seeds > 1 else "with one seed, no ties can be tested"
    by = f", by {titles[ranked_by['whole']]}" * is_one
    notes = [f"First at each budget{by}{rates}; {ties}."]
    for part, sentence in said.items():
        by = "" if is_one else f", by {titles[ranked_by[part]]}"
        shown = written(PARTS[part] * budget, against)
        notes.append(f"{_WRITTEN[part]}, {shown}{by}: {sentence}.")
    reasons = {"since runs diverged": diverged}
    if "loss" in ranked_by.values():
        reasons["by training loss, which is of the relaxed model"] = is_relaxed & ~diverged
    for reason, flags in reasons.items():
        names = listed(lines.loc[flags, "short_name"].unique())
        notes += [f"Not ranked {reason}: {names}."] if names else []
    return First(columns, notes, settings)


def _best(each: pd.DataFrame, points: pd.DataFrame, score: str) -> pd.DataFrame:
    """Return the line of each estimator at its best learning rate."""
    means = points.groupby(list(LINE))["value"].mean()
    found = means.reindex(pd.MultiIndex.from_frame(each[list(LINE)])).to_numpy()
    order = each.assign(share=each["diverged"] / each["seeds"], score=_sign(score) * found)
    order = order.sort_values(["share", "score"], kind="stable")
    return order.drop_duplicates("estimator").sort_index()


def _paired(own: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Return the values of the lines that have one, by seed; of the seeds that all of them have."""
    wide = points.pivot(index=list(LINE), columns="seed", values="value")
    paired = wide.reindex(pd.MultiIndex.from_frame(own[list(LINE)])).set_axis(own.index)
    return paired[np.isfinite(own["value"])].dropna(axis="columns")


def _places(own: pd.DataFrame, paired: pd.DataFrame, score: str) -> pd.Series:
    """Return "first", "tied" or "" for each line."""
    places = pd.Series("", index=own.index)
    if len(paired):
        values = _sign(score) * own.loc[paired.index, "value"]
        tied = may_be_least(values, _sign(score) * paired)
        places[tied.index[tied]] = "tied"
        places[values.idxmin()] = "first"
    return places


def _sentence(own: pd.DataFrame) -> str:
    """Return who is first, with its value, who is tied with it, and who has no value yet."""
    first, tied = (own["place"] == place for place in ("first", "tied"))
    if not first.any():
        return "none to compare"
    line = own[first].iloc[0]
    rate = f" (rate {formats.setting(line['learning_rate'])})" if line["tried"] > 1 else ""
    value = formats.uncertain(line["value"], line["low"], line["high"])
    said = [f"{line['short_name']}{rate}, {value}"]
    late = own["short_name"][~np.isfinite(own["value"])]
    said += [f"tied: {listed(own['short_name'][tied])}"] * bool(tied.any())
    said += [f"no value yet: {listed(late)}"] * bool(len(late))
    return "; ".join(said)


def _sign(score: str) -> float:
    return -1.0 if SCORES[score].higher_is_better else 1.0
