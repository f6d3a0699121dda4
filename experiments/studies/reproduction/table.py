"""What a reproduced table is made of: cells, published numbers, budgets, predictions."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.measurement.point import Row
from experiments.running.progress import Progress
from experiments.studies.reproduction.published import Published

BUDGETS = ("smoke", "laptop", "paper")
"""A minute or two, about an hour on two cores, and as published."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """How candidates (learning rates, schedules) are compared before the best is trained.

    Attributes:
        steps: training steps of each, with one seed.
        images: validation images, from the first on; None for all.
        bound_samples: samples of the bound that is compared.
    """

    steps: int
    images: int | None
    bound_samples: int


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a reproduction may spend on a cell.

    Attributes:
        steps: training steps.
        seeds: runs of the chosen candidate.
        bound_samples: samples of the bound that is reported.
        images: images of a split that are evaluated, from the first on; None for all.
        rates: learning rates that are tried; None for the published ones.
        variants: at most so many variants of an estimator are tried (its schedules, for example).
        selection: how candidates are compared; None: each is trained in full, with all seeds, and
            chosen by all validation images.
        draws: gradients or objectives drawn, where something is measured and not trained.
        one_each: whether only the first cell of each estimator is run.
    """

    steps: int = 0
    seeds: int = 1
    bound_samples: int = 100
    images: int | None = None
    rates: tuple[float, ...] | None = None
    variants: int | None = None
    selection: Selection | None = None
    draws: int = 1 << 16
    one_each: bool = False


def usual_budgets(
    rates: tuple[float, ...] | None,
    paper: Budget,
    *,
    bound_samples: int = 1000,
    steps: int = 20_000,
    seeds: int = 2,
    images: int = 2000,
    many_cells: bool = False,
) -> dict[str, Budget]:
    """Return the budgets of a table whose cells are trained.

    Args:
        rates: the learning rates that the laptop compares, of which the smoke test takes the first;
            None for the published ones.
        paper: as published.
        bound_samples: of the laptop's bound.
        steps: of the laptop.
        seeds: of the laptop.
        images: test images that the laptop evaluates.
        many_cells: whether they are too many for a smoke test, which then has one an estimator.
    """
    return {
        "smoke": Budget(
            steps=40,
            seeds=2,
            bound_samples=20,
            images=64,
            rates=rates and rates[:1],
            variants=1,
            draws=4096,
            one_each=many_cells,
        ),
        "laptop": Budget(
            steps=steps,
            seeds=seeds,
            bound_samples=bound_samples,
            images=images,
            rates=rates,
            variants=1,
            selection=Selection(steps=steps // 10, images=1000, bound_samples=20),
            draws=1 << 20,
        ),
        "paper": paper,
    }


@dataclasses.dataclass(frozen=True)
class Target:
    """A published number, and the figure of ours that stands beside it.

    Attributes:
        block: the part of the table in which estimators are put in order.
        label: the estimator, as the paper names it.
        published: the number.
        metric: ours.
        split: the images that ours is of, "" where there are none.
        scale: ours times this is in the units of the paper.
        higher_is_better: which way the order goes.
        is_known: whether the number is exact, so that ours must be it but for chance.
    """

    block: str
    label: str
    published: Published
    metric: str
    split: str = "test"
    scale: float = 1.0
    higher_is_better: bool = False
    is_known: bool = False

    def row(self) -> Row:
        """Return the target as a row of the result table."""
        return {
            "stage": "published",
            "block": self.block,
            "label": self.label,
            "metric": self.metric,
            "split": self.split,
            "value": self.published.value,
            "units": self.published.units,
            "spread": self.published.spread,
            "source": self.published.source,
            "note": self.published.notes,
            "scale": self.scale,
            "higher_is_better": self.higher_is_better,
            "is_known": self.is_known,
        }


@dataclasses.dataclass(frozen=True)
class Prediction:
    """An ordering that is expected to hold, written down before the run.

    Attributes:
        statement: what is expected, in words.
        block: the part of the table.
        better: labels of the estimators that are expected to be better.
        worse: labels of those that are expected to be worse than every one of `better`.
    """

    statement: str
    block: str
    better: Sequence[str]
    worse: Sequence[str]

    def rows(self) -> list[Row]:
        """Return the prediction as rows of the result table, one a pair."""
        shared = {"stage": "prediction", "block": self.block, "note": self.statement}
        pairs = ((one, other) for one in self.better for other in self.worse)
        return [shared | {"label": one, "other": other} for one, other in pairs]


class Order(NamedTuple):
    """What an experiment is run with.

    Attributes:
        budget: what it may spend.
        seed: the first seed.
        splits: the splits that targets are of.
        folder: for checkpoints; what lies there from a run that was killed is gone on with.
        progress: shows the progress of the run.
        advance: is told the fraction that is done; it may raise KeyboardInterrupt.
    """

    budget: Budget
    seed: int
    splits: Sequence[str]
    folder: Path
    progress: Progress
    advance: Callable[[float], None]


class Experiment(abc.ABC):
    """What a cell runs: a frozen dataclass of settings."""

    @abc.abstractmethod
    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values, for the run's identity."""

    @abc.abstractmethod
    def run(self, order: Order) -> list[Row]:
        """Run it and return its rows."""

    @property
    def about_data(self) -> str:
        """What tables say of the data, nothing where there is none."""
        return ""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table: one experiment, and the published numbers that it stands beside.

    Attributes:
        name: names it, on the command line too.
        experiment: what is run; a text says why nothing can be.
        targets: the published numbers.
    """

    name: str
    experiment: Experiment | str
    targets: tuple[Target, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        name: names it on the command line.
        title: authors, year and table.
        cells: its cells.
        budgets: by name, one of each of `BUDGETS`.
        predictions: orderings that are expected to hold.
        notes: readings of what is ambiguous, choices where the paper is silent, deviations.
    """

    name: str
    title: str
    cells: tuple[Cell, ...]
    budgets: Mapping[str, Budget]
    predictions: tuple[Prediction, ...] = ()
    notes: tuple[str, ...] = ()

    def cells_at(self, budget: Budget) -> tuple[Cell, ...]:
        """Return the cells that a budget runs."""
        if not budget.one_each:
            return self.cells
        first = {cell.targets[0].label: cell for cell in reversed(self.cells)}
        return tuple(cell for cell in self.cells if first[cell.targets[0].label] is cell)

    def rows(self) -> list[Row]:
        """Return the published numbers and the predictions as rows of the result table."""
        targets = [
            {"cell": cell.name, **target.row()} for cell in self.cells for target in cell.targets
        ]
        return targets + [row for prediction in self.predictions for row in prediction.rows()]
