"""The tidy table of training runs, and the scores that rank runs."""

from typing import NamedTuple

import pandas as pd

from analysis.rows import TRAINING_CONTEXT, check, only_context, without_skipped
from analysis.schema import METRICS

LINE = ("estimator", "optimiser", "learning_rate")
RUN = (*LINE, "seed")
_POINT = (*RUN, "step", "metric", "split", "bound_samples", "measured")
_BLANK = {"split": "", "measured": "", "note": "", "bound_samples": 0, "group": ""}
COLUMNS = (*TRAINING_CONTEXT, *_POINT, "method", "unbiased", "value", "low", "high", "note")


class Score(NamedTuple):
    """A metric that ranks runs; `split` is "" if the metric has only one."""

    metric: str
    split: str
    higher_is_better: bool = False


OWN = {name: metric.better for name, metric in METRICS.items() if metric.better}
"""The scores that problems give their trained models, each with which values are better."""


def _of_split(split: str, *metrics: str) -> dict[str, Score]:
    """Return scores of a split by name: bounds first, then those of `OWN`."""
    bounds = {f"{split}_{name.removeprefix('negative_')}": Score(name, split) for name in metrics}
    own = {f"{split}_{name}".strip("_"): Score(name, split, OWN[name] == "higher") for name in OWN}
    return bounds | own


BOUNDS = ("negative_bound", "negative_elbo")
"""The metrics of bounds of an example."""

# A table is sorted by the first of these scores that it contains.
SCORES = {
    "test_bound": Score("negative_bound", "test"),
    "test_elbo": Score("negative_elbo", "test"),
    "exact_loss": Score("exact_loss", ""),
    **_of_split(""),
    **_of_split("test"),
    **_of_split("validation", *BOUNDS),
    **_of_split("train", *BOUNDS),
    "loss": Score("loss", ""),
}


def read(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table of training runs, with missing values filled in.

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, or repeats a
            metric of a run.
    """
    check(rows, COLUMNS)
    only_context(rows, TRAINING_CONTEXT)
    rows = rows.assign(group=rows.get("group", "")).fillna(_BLANK)
    repeated = rows[(rows["metric"] != "skipped") & rows.duplicated([*_POINT, "group"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise ValueError(
            f"the result table holds {first.metric} of {first.estimator} at learning rate "
            f"{first.learning_rate:g}, seed {first.seed}, step {first.step} twice"
        )
    return rows


def trained(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs, without measurements made during training.

    The new column `diverged_at` is the step at which the run diverged, NaN if it did not. The
    metadata in `attrs` are left out.

    Args:
        rows: from `read`.
    """
    runs, _ = without_skipped(rows[rows["measured"] == ""])
    runs.attrs = {}  # pandas copies them, deeply, at every step
    at = runs["value"].where(runs["metric"] == "diverged")
    at = at.groupby([runs[name] for name in RUN], dropna=False).transform("max")
    return runs.assign(diverged_at=at)


def scores_in(runs: pd.DataFrame) -> dict[str, Score]:
    """Return the scores that runs may have: all, without scores of problems that they lack."""
    there = set(zip(runs["metric"], runs["split"], strict=True))
    return {
        name: score
        for name, score in SCORES.items()
        if score.metric not in OWN or score.metric == "accuracy" or score[:2] in there
    }


def points(runs: pd.DataFrame, score: Score) -> pd.DataFrame:
    """Return the rows of one score; for a bound, only those with the most samples."""
    chosen = runs[runs["metric"] == score.metric]
    if score.split or score.metric in OWN:
        chosen = chosen[chosen["split"] == score.split]
    return chosen[chosen["bound_samples"] == chosen["bound_samples"].max()]
