"""Which estimator is first at each part of a training budget."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import formats
from analysis.budgets import Against, at, compared_by, written
from analysis.runs import LINE, SCORES
from analysis.statistics.seeds import over_seeds
from analysis.statistics.ties import may_be_least
from analysis.text import listed

PARTS = {"eighth": 1 / 8, "quarter": 1 / 4, "half": 1 / 2, "whole": 1.0}
"""The parts of the budget at which estimators are compared."""

_WRITTEN = {"eighth": "1/8", "quarter": "1/4", "half": "1/2", "whole": "All"}


class First(NamedTuple):
    """Who is first at each budget.

    Attributes:
        columns: of each line: for each of `PARTS`, the score at that budget, and `PART_place`:
            "first", "tied" (not distinguishable from the first) or "".
        notes: sentences that say it.
        settings: `ranked_by`, the score, and for each part its `PART_budget`.
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

    Estimators are compared by the first score that all runs have at several steps, else by the
    training loss; that of a relaxed model is not compared. Each is at the learning rate that was
    best by then: of the fewest diverged runs, and of these, the first by `choosing`. A mean without
    the runs that diverged would be too optimistic, so those with any are not compared.

    Args:
        lines: the lines of the table of training runs.
        scores: the points of each score, of runs that did not diverge, with what was `spent`.
        budget: the whole budget.
        against: its unit.
        choosing: the scores that choose learning rates, the most important first.
        titles: the titles of the scores.
        relaxed: the estimators whose loss is that of the relaxed model.

    Returns:
        Nothing if there are fewer than two estimators that can be compared.
    """
    ranked_by, chosen_by = compared_by(scores, SCORES), compared_by(scores, choosing)
    lines = lines.assign(left_out=_left_out(lines, relaxed if ranked_by == "loss" else ()))
    columns = pd.DataFrame(index=lines.index)
    compared = lines.loc[lines["left_out"] == "", "estimator"].nunique()
    if compared < 2 or not np.isfinite(budget):
        return First(columns)
    said: list[str] = []
    settings: dict[str, str | float | None] = {"ranked_by": ranked_by}
    seeds = 0
    for part, share in PARTS.items():
        points = [at(scores[name], share * budget) for name in (ranked_by, chosen_by)]
        means = over_seeds(points[0], LINE).reindex(pd.MultiIndex.from_frame(lines[list(LINE)]))
        each = lines.join(means[["value", "low", "high"]].reset_index(drop=True))
        own = _best(each, points[1], chosen_by)
        paired = _paired(own, points[0])
        each["place"] = _places(own, paired, ranked_by).reindex(each.index).fillna("")
        columns[part], columns[f"{part}_place"] = each["value"], each["place"]
        settings[f"{part}_budget"] = share * budget
        seeds = max(seeds, paired.shape[1])
        shown = f"{_WRITTEN[part]}, {written(share * budget, against)}"
        said.append(f"{shown}: {_sentence(each.loc[own.index])}.")
    rates = ""
    if (lines["tried"] > 1).any():
        criterion = "" if chosen_by == ranked_by else f" (by {titles[chosen_by]})"
        rates = f" of each at its best learning rate by then{criterion}"
    ties = "tied: not distinguishable from the first (paired test over seeds, 95 % at each budget)"
    ties = ties if seeds > 1 else "with one seed, no ties can be tested"
    head = f"First at each budget, by {titles[ranked_by]}{rates}; {ties}."
    for reason, names in lines.groupby("left_out", sort=False)["short_name"]:
        said += [f"Not ranked, {reason}: {listed(names.unique())}."] if reason else []
    return First(columns, [head, *said], settings)


def _left_out(lines: pd.DataFrame, relaxed: Collection[str]) -> pd.Series:
    """Return why the estimator of each line is not compared; "" if it is."""
    share = lines["diverged"] / lines["seeds"]
    diverged = share.groupby(lines["estimator"]).transform("min") > 0
    reasons = diverged.map({True: "since runs diverged", False: ""})
    return reasons.mask(lines["estimator"].isin(list(relaxed)), "for a loss of the relaxed model")


def _best(each: pd.DataFrame, points: pd.DataFrame, score: str) -> pd.DataFrame:
    """Return the line of each compared estimator at its best learning rate."""
    means = points.groupby(list(LINE))["value"].mean()
    found = means.reindex(pd.MultiIndex.from_frame(each[list(LINE)])).to_numpy()
    order = each.assign(share=each["diverged"] / each["seeds"], score=_sign(score) * found)
    order = order[order["left_out"] == ""].sort_values(["share", "score"], kind="stable")
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
        return "none has a value yet"
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
