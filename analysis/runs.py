"""The tidy table of training runs: its columns, and its rearrangement to one line per group."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.rows import TRAINING_CONTEXT, check, links, notes, only_context, without_skipped

LINE = ("estimator", "optimiser", "learning_rate")
RUN = (*LINE, "seed")
_POINT = (*RUN, "step", "metric", "split", "bound_samples", "measured")
_BLANK = {"split": "", "measured": "", "note": "", "bound_samples": 0}
COLUMNS = (*TRAINING_CONTEXT, *_POINT, "method", "unbiased", "value", "low", "high", "note")


class Score(NamedTuple):
    """A metric that ranks runs; `split` is "" if the metric has only one."""

    metric: str
    split: str
    higher_is_better: bool = False


# A table is sorted by the first of these that it has.
SCORES = {
    "test_bound": Score("negative_bound", "test"),
    "test_elbo": Score("negative_elbo", "test"),
    "exact_loss": Score("exact_loss", ""),
    "test_accuracy": Score("accuracy", "test", higher_is_better=True),
    "validation_bound": Score("negative_bound", "validation"),
    "validation_elbo": Score("negative_elbo", "validation"),
    "validation_accuracy": Score("accuracy", "validation", higher_is_better=True),
    "train_bound": Score("negative_bound", "train"),
    "train_elbo": Score("negative_elbo", "train"),
    "train_accuracy": Score("accuracy", "train", higher_is_better=True),
    "loss": Score("loss", ""),
}
# Learning rates are chosen by the first of these that a table has: never by test images.
CHOOSING = ("validation_bound", "validation_elbo", "exact_loss", "validation_accuracy", "loss")


def read(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table of training runs, with blanks filled.

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, or has a metric
            of a run twice.
    """
    check(rows, COLUMNS)
    only_context(rows, TRAINING_CONTEXT)
    rows = rows.fillna(_BLANK)
    repeated = rows[(rows["metric"] != "skipped") & rows.duplicated(list(_POINT))]
    if len(repeated):
        first = repeated.iloc[0]
        raise ValueError(
            f"the result table holds {first.metric} of {first.estimator} at learning rate "
            f"{first.learning_rate:g}, seed {first.seed}, step {first.step} twice"
        )
    return rows


def trained(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs, without measurements made along the training.

    The new column `diverged_at` is the step at which the run diverged, NaN if it did not.

    Args:
        rows: from `read`.
    """
    runs, _ = without_skipped(rows[rows["measured"] == ""])
    at = runs["value"].where(runs["metric"] == "diverged")
    at = at.groupby([runs[name] for name in RUN], dropna=False).transform("max")
    return runs.assign(diverged_at=at)


def points(runs: pd.DataFrame, score: Score) -> pd.DataFrame:
    """Return the rows of one score; for a bound, those with the most samples."""
    chosen = runs[runs["metric"] == score.metric]
    if score.split:
        chosen = chosen[chosen["split"] == score.split]
    return chosen[chosen["bound_samples"] == chosen["bound_samples"].max()]


def over_seeds(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the mean over seeds of every group, with its 95 % interval.

    Returns:
        `value`, `low`, `high`, `seeds`, one line per group. The interval is Student's over the
        seeds; a single seed keeps that of its row.
    """
    groups = rows.groupby(list(by), sort=False, dropna=False)
    lines = groups[["low", "high"]].first().assign(seeds=groups.size())
    # Missing values are not skipped: a mean without the failed runs would look too good.
    lines.insert(0, "value", groups["value"].mean(skipna=False))
    several = lines["seeds"] > 1
    quantile = stdtrit(lines["seeds"].clip(lower=2) - 1, 0.975)
    half = quantile * groups["value"].std(skipna=False) / np.sqrt(lines["seeds"])
    lines["low"] = lines["low"].where(~several, lines["value"] - half)
    lines["high"] = lines["high"].where(~several, lines["value"] + half)
    return lines


def by_line(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per estimator, optimiser and learning rate, in the order of the rows.

    Returns:
        The columns of `analysis.training_table`, but for `best`.

    Raises:
        ValueError: as `read`, and if the table holds neither a run nor a skipped estimator.
    """
    rows = read(rows)
    _, skipped = without_skipped(rows)
    runs = trained(rows)
    if runs.empty and not skipped:
        raise ValueError("the result table holds no training run")
    each = runs.drop_duplicates(list(RUN)).groupby(list(LINE), sort=False)
    hyperparameters = [c for c in rows if isinstance(c, str) and c.startswith("p_")]
    facts = ["method", "unbiased", *links(rows), *hyperparameters]
    lines = runs.groupby(list(LINE), sort=False)[facts].first()
    lines["seeds"] = each.size()
    lines["diverged"] = each["diverged_at"].count()
    lines["diverged_first"] = each["diverged_at"].min()
    lines["diverged_last"] = each["diverged_at"].max()

    finished = runs[runs["diverged_at"].isna()]
    samples = {}
    for name, score in SCORES.items():
        chosen = points(finished, score)
        last = chosen.groupby(list(LINE))["step"].transform("max")
        means = over_seeds(chosen[chosen["step"] == last], LINE)
        for kind, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            lines[name + suffix] = means[kind].astype(float)
        if score.metric == "negative_bound" and len(chosen):
            samples[score.split] = int(chosen["bound_samples"].iloc[0])
    speeds = runs[runs["metric"] == "steps_per_second"]
    lines["steps_per_second"] = speeds.groupby(list(LINE))["value"].mean()
    said = notes(runs[runs["metric"] != "diverged"], LINE)
    lines["note"] = said.reindex(lines.index).fillna("")
    lines = lines.reset_index()

    steps = finished.groupby(list(LINE))["step"].max()
    optimisers = list(lines["optimiser"].unique())
    lines.attrs = {
        "context": only_context(rows, TRAINING_CONTEXT),
        "optimiser": optimisers[0] if len(optimisers) == 1 else None,
        "steps": (int(steps.min()), int(steps.max())) if len(steps) else None,
        "seeds": (int(lines["seeds"].min()), int(lines["seeds"].max())) if len(lines) else None,
        "bound_samples": samples,
        "complete": rows.attrs.get("complete", True),
        "skipped": skipped,
    }
    return lines
