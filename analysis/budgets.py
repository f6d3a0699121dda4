"""What training runs have spent, and what they have reached at a budget."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from analysis.formats import duration
from analysis.runs import RUN
from analysis.units import Against

LABELS: Mapping[Against, str] = {
    "steps": "training step",
    "evaluations": "evaluations of f per example",
    "seconds": "seconds of training per run",
}
"""The labels of axes."""

_NEEDED = {
    "steps": ["step"],
    "evaluations": ["evaluations"],
    "seconds": ["training_seconds", "batch_runs"],
}


def spent(runs: pd.DataFrame, against: Against = "steps") -> pd.Series:
    """Return what the run of each row has spent up to its step.

    An evaluation of f is one of a single example; each example of the minibatch takes as many. The
    runs of an estimator are one program, so the seconds of a run are those of its batch, divided by
    the number of its runs.

    Args:
        runs: from `analysis.runs.trained`.
        against: the unit.

    Returns:
        Numbers; NaN where they are unknown, such as the seconds of a run whose only call compiled.

    Raises:
        ValueError: if the rows, of an earlier version, do not have them.
    """
    missing = [name for name in _NEEDED[against] if name not in runs]
    if missing:
        raise ValueError(
            f"the results do not say how many {against} training took (they have no column "
            f"{', '.join(missing)}): train again"
        )
    if against == "evaluations":
        return runs["step"] * runs["evaluations"].astype(float)
    if against == "seconds":
        return runs["training_seconds"].astype(float) / runs["batch_runs"]
    return runs["step"].astype(float)


def reached(runs: pd.DataFrame) -> float:
    """Return the largest budget that all runs have reached; NaN without runs.

    Args:
        runs: rows with what was `spent`.
    """
    return float(runs.groupby(list(RUN))["spent"].max().min())


def at(points: pd.DataFrame, budget: float) -> pd.DataFrame:
    """Return the last point of each run at or below a budget; none of a run that has none.

    Args:
        points: from `analysis.runs.points`, with what was `spent`.
        budget: the budget.
    """
    before = points[points["spent"] <= budget].sort_values("step", kind="stable")
    return before.drop_duplicates(list(RUN), keep="last")


def known_of_all(points: Mapping[str, pd.DataFrame], names: Iterable[str]) -> str:
    """Return the first of these scores that all runs with a training loss have, else "loss".

    The loss of a row is the mean over its logging interval: that of a single step would be the
    noise of one minibatch.

    Args:
        points: the points of each score, such as those by a budget.
        names: the scores, the most important first.
    """
    runs = _named(points["loss"])
    known = (name for name in names if runs and runs <= _named(points[name]))
    return next(known, "loss")


def _named(points: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(points[list(RUN)].itertuples(index=False, name=None))


def written(budget: float, against: Against) -> str:
    """Return a budget as text: `1,250 steps`, `2,500 evaluations of f`, `12.3 s per run`."""
    if not np.isfinite(budget):
        return f"an unknown number of {against}"
    if against == "seconds":
        return f"{f'{budget:,.0f} s' if budget >= 1000 else duration(budget)} per run"
    unit = {"steps": "step", "evaluations": "evaluation"}[against]
    plural = "s" * (int(budget) != 1)
    return f"{int(budget):,} {unit}{plural}{' of f' * (against == 'evaluations')}"
