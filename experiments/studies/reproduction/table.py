"""Reproduced tables: cells, published numbers, scales and predictions."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from estimators import Estimator
from experiments.measurement.rows import Row
from experiments.problems import Problem
from experiments.running.progress import Progress
from experiments.studies.reproduction.published import Published

SCALES = ("smoke", "laptop", "paper")
"""Scales: a minute or two, about an hour on two cores, and as published."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """How candidates (learning rates, schedules) are compared before training the best.

    Attributes:
        steps: training steps of each, with one seed.
        images: the number of validation images, taken from the start; None for all.
        bound_samples: samples of the bound that is compared.
    """

    steps: int
    images: int | None
    bound_samples: int


@dataclasses.dataclass(frozen=True)
class Scale:
    """The size of a cell's run.

    Attributes:
        steps: training steps.
        seeds: runs of the chosen candidate.
        bound_samples: samples of the reported bound.
        images: the number of evaluated images per split, taken from the start; None for all.
        rates: the learning rates to try; None for the published ones.
        variants: the maximum number of variants of an estimator to try; None for all.
        selection: how candidates are compared; if None, all are trained in full, with all seeds,
            and compared on all validation images.
        draws: the number of gradients drawn, for a cell that is measured, not trained.
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


def usual_scales(
    rates: tuple[float, ...] | None,
    paper: Scale,
    *,
    bound_samples: int = 1000,
    steps: int = 20_000,
    seeds: int = 2,
    images: int = 2000,
    many_cells: bool = False,
) -> dict[str, Scale]:
    """Return the scales of a table whose cells are trained.

    Args:
        rates: the learning rates compared by "laptop"; "smoke" uses the first; None for
            the published ones.
        paper: the scale "paper", as published.
        bound_samples: samples of the bound of "laptop".
        steps: training steps of "laptop".
        seeds: seeds of "laptop".
        images: test images that "laptop" evaluates.
        many_cells: whether "smoke" runs only one cell of each estimator.
    """
    return {
        "smoke": Scale(
            steps=40,
            seeds=2,
            bound_samples=20,
            images=64,
            rates=rates and rates[:1],
            variants=1,
            draws=4096,
            one_each=many_cells,
        ),
        "laptop": Scale(
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
    """A published number, and the metric of ours to compare with it.

    Attributes:
        block: the part of the table within which estimators are ranked.
        label: the estimator, as the paper names it.
        published: the number.
        metric: the name of our metric.
        split: the images that it is evaluated on, "" if there are none.
        scale: factor from our units to the paper's.
        higher_is_better: whether higher values rank first.
        is_known: whether the number is exact, so that ours may differ by chance only.
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
    """An expected ranking, written down before the run.

    Attributes:
        statement: the expectation, in words.
        block: the part of the table.
        better: labels of the estimators that are expected to be better.
        worse: labels of the estimators that are expected to be worse than all of `better`.
    """

    statement: str
    block: str
    better: Sequence[str]
    worse: Sequence[str]

    def rows(self) -> list[Row]:
        """Return the prediction as rows of the result table, one for each pair."""
        shared = {"stage": "prediction", "block": self.block, "note": self.statement}
        pairs = ((one, other) for one in self.better for other in self.worse)
        return [shared | {"label": one, "other": other} for one, other in pairs]


class CellRun(NamedTuple):
    """The arguments of an experiment's run.

    Attributes:
        scale: the size of the run.
        seed: the first seed.
        splits: the splits that targets are evaluated on.
        folder: the folder of checkpoints; an interrupted run continues from those in it.
        environment: everything besides the settings that determines the numbers.
        progress: shows the status of the run.
        advance: receives the fraction done; it may raise KeyboardInterrupt.
    """

    scale: Scale
    seed: int
    splits: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    progress: Progress
    advance: Callable[[float], None]

    def part(self, name: str, advance: Callable[[float], None]) -> "CellRun":
        """Return the run of a part, in a folder of its own."""
        return self._replace(folder=self.folder / name, advance=advance)


class Batch(NamedTuple):
    """Runs that are trained together.

    Attributes:
        problem: the problem.
        estimator: the estimator.
        steps: training steps of each.
        runs: the number of runs.
    """

    problem: Problem
    estimator: Estimator
    steps: int
    runs: int


class Experiment(abc.ABC):
    """The experiment for a cell: a frozen dataclass of settings."""

    @abc.abstractmethod
    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values, for the run's identity."""

    @abc.abstractmethod
    def run(self, run: CellRun) -> list[Row]:
        """Run the experiment, and return its rows."""

    @abc.abstractmethod
    def batches(self, scale: Scale) -> Sequence[Batch]:
        """Return the batches of runs that it trains; none if it only measures."""

    @property
    def about_data(self) -> str:
        """The description of the data in tables, "" if there are none."""
        return ""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table: an experiment, and the published numbers to compare it with.

    Attributes:
        name: its name, also on the command line.
        experiment: the experiment, or why there is none.
        targets: the published numbers.
    """

    name: str
    experiment: Experiment | str
    targets: tuple[Target, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        name: its name on the command line.
        title: authors, year and table.
        cells: its cells.
        scales: the sizes of a run, by the names in `SCALES`.
        predictions: the expected rankings.
        notes: interpretations of ambiguities, choices where the paper is silent, deviations.
        smaller: what is run in place of the table at some scales, such as a smaller network.
        is_comparable: whether the model is the published one, so that a difference means something.
    """

    name: str
    title: str
    cells: tuple[Cell, ...]
    scales: Mapping[str, Scale]
    predictions: tuple[Prediction, ...] = ()
    notes: tuple[str, ...] = ()
    smaller: Mapping[str, "Table"] = dataclasses.field(default_factory=dict)
    is_comparable: bool = True

    def at(self, scale: str) -> "Table":
        """Return what is run at a scale."""
        return self.smaller.get(scale, self)

    def cells_at(self, scale: Scale) -> tuple[Cell, ...]:
        """Return the cells that are run at a scale."""
        if not scale.one_each:
            return self.cells
        first = {cell.targets[0].label: cell for cell in reversed(self.cells)}
        return tuple(cell for cell in self.cells if first[cell.targets[0].label] is cell)

    def rows(self) -> list[Row]:
        """Return the published numbers and the predictions as rows of the result table."""
        targets = [
            {"cell": cell.name, **target.row()} for cell in self.cells for target in cell.targets
        ]
        return targets + [row for prediction in self.predictions for row in prediction.rows()]
