"""Quantities of the atlas over problems, from its cells: what `analysis.atlas.cells` returns.

The points of a problem count as one, so that problems with several do not weigh more, and an
interval is Student's over problems: it says how far the answer depends on which problems there are.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.statistics import Estimate, sample_mean

Cells = Sequence[Mapping[str, Any]]
"""The cells of the atlas, as plain values by column."""

UNKNOWN = Estimate.refused(math.nan, "fewer than two problems")


@dataclasses.dataclass(frozen=True)
class LogRatio:
    """The mean of log(first / second) over the problems that both estimators take.

    Attributes:
        first: an estimator, or "biased" or "unbiased" for the best of these at each point.
        second: another.
        metric: "error" at equal cost, or "variance".
        law: only points with this law.
        trained: whether only points after training count, or only those before.
    """

    first: str
    second: str
    metric: str = "error"
    law: str = ""
    trained: bool | None = None

    def __str__(self) -> str:
        """Return its name."""
        return f"log ratio of {self.metric}s, {self.first} over {self.second}"

    def __call__(self, cells: Cells) -> Estimate:
        """Return the quantity of cells."""
        found, others = (
            _each(cells, name, self.metric, self.law, self.trained)
            for name in (self.first, self.second)
        )
        return _over_problems(
            {at: math.log(found[at] / others[at]) for at in found if at in others}
        )


@dataclasses.dataclass(frozen=True)
class Share:
    """The share of problems where an estimator is within a factor of the best.

    Attributes:
        name: the estimator.
        factor: the factor.
        of_kind: whether the best of its kind is meant, biased or unbiased, rather than of all.
        law: as for `LogRatio`.
        trained: likewise.
    """

    name: str
    factor: float
    of_kind: bool = False
    law: str = ""
    trained: bool | None = None

    def __str__(self) -> str:
        """Return its name."""
        of = "its kind" if self.of_kind else "all"
        return f"share of {self.name} within {self.factor:g} of the best of {of}"

    def __call__(self, cells: Cells) -> Estimate:
        """Return the quantity of cells."""
        column = "ratio_of_kind" if self.of_kind else "ratio"
        found = _each(cells, self.name, column, self.law, self.trained)
        return _over_problems({at: float(ratio <= self.factor) for at, ratio in found.items()})


def _each(
    cells: Cells, name: str, column: str, law: str, trained: bool | None
) -> dict[tuple[str, int], float]:
    """Return the positive values of a column at each point; the least, of several estimators."""
    kinds = {"biased": False, "unbiased": True}
    found: dict[tuple[str, int], float] = {}
    for cell in cells:
        if name in kinds:
            is_meant = (cell["unbiased"] == "yes") == kinds[name]
        else:
            is_meant = cell["short_name"] == name
        at, value = (cell["problem"], int(cell["step"])), float(cell[column])
        if not is_meant or not value > 0 or math.isnan(float(cell["ratio"])):
            continue
        if law in ("", cell["law"]) and trained in (None, at[1] > 0):
            found[at] = min(value, found.get(at, math.inf))
    return found


def _over_problems(values: Mapping[tuple[str, int], float]) -> Estimate:
    """Return the mean over problems of their mean over points."""
    by_problem: dict[str, list[float]] = {}
    for (problem, _), value in values.items():
        by_problem.setdefault(problem, []).append(value)
    means = [sum(each) / len(each) for each in by_problem.values()]
    return sample_mean(means) if len(means) > 1 else UNKNOWN
