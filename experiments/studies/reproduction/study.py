"""The reproduction of a published table, cell by cell."""

import dataclasses
import functools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.data import DataError
from experiments.measurement.rows import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.reproduction.table import Cell, CellRun, Scale, Table
from experiments.studies.reproduction.training_experiment import TrainingExperiment
from experiments.system.folder import slug

STUDY = "reproduce"


@dataclasses.dataclass(frozen=True)
class ReproduceSettings:
    """Settings of a reproduction; every field is part of the run's identity.

    Attributes:
        table: the published table.
        scale: the name of a scale.
        seed: the first seed.
        steps: training steps in place of the scale's.
        seeds: runs in place of the scale's.
        rates: learning rates to try in place of the scale's.
    """

    table: Table
    scale: str
    seed: int = 0
    steps: int | None = None
    seeds: int | None = None
    rates: tuple[float, ...] | None = None

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {
            "study": STUDY,
            "table": self.table.name,
            "title": self.table.title,
            "notes": list(self.table.notes),
            "budget": self.scale,
            "spent": dataclasses.asdict(self.size),
            "seed": self.seed,
            "cells": {cell.name: _described(cell) for cell in self.table.cells},
            **({} if self.table.is_comparable else {"is_comparable": False}),
        }

    @property
    def is_trained(self) -> bool:
        """Whether a cell of the table is trained."""
        return any(isinstance(cell.experiment, TrainingExperiment) for cell in self.table.cells)

    @property
    def size(self) -> Scale:
        """The size of a run."""
        given = {"steps": self.steps, "seeds": self.seeds, "rates": self.rates}
        changed = {name: value for name, value in given.items() if value is not None}
        return dataclasses.replace(self.table.scales[self.scale], **changed)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that are run at the scale."""
        return self.table.cells_at(self.size)


def reproduction(settings: ReproduceSettings, cells: Sequence[Cell]) -> Study[Cell]:
    """Return the study of cells of a table; an interrupted cell continues from its checkpoint.

    Args:
        settings: the settings of the reproduction.
        cells: the cells to run now.
    """
    table = settings.table
    shared = {"study": STUDY, "table": table.name, "budget": settings.scale}
    return Study(
        f"{table.name}-{settings.scale}",
        settings.configuration(),
        {__name__, *(type(cell.experiment).__module__ for cell in table.cells)},
        {cell.name: cell for cell in cells},
        functools.partial(_rows, settings, shared),
        # Cells skipped for missing data are run again.
        lambda rows: _at(rows, "final", "skipped", "failed"),
        {cell.name for cell in settings.cells},
        [shared | row for row in table.rows()],
    )


def _rows(
    settings: ReproduceSettings,
    shared: Row,
    parts: Mapping[str, Cell],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Run cells."""
    missing: dict[str, str] = {}  # errors by data set; each is searched for only once
    for name, cell in parts.items():
        with progress.task(name) as advance:
            folder = results.folder.unfinished / slug(name)
            splits = sorted({target.split for target in cell.targets})
            about = settings.size, settings.seed, splits, folder, results.environment
            run = CellRun(*about, progress, advance)
            rows = _run(cell, run, missing)
            if rows[-1]["stage"] == "missing" and name in _at(results.rows, "missing"):
                rows = []
            yield [shared | {"cell": name} | row for row in rows]
            shutil.rmtree(folder, ignore_errors=True)


def _run(cell: Cell, run: CellRun, missing: dict[str, str]) -> list[Row]:
    experiment = cell.experiment
    if isinstance(experiment, str):
        return [{"stage": "skipped", "note": experiment}]
    data = experiment.about_data
    try:
        if data in missing:
            raise DataError(missing[data])
        rows = experiment.run(run)
    except DataError as error:
        missing[data] = str(error)
        return [{"stage": "missing", "note": str(error)}]
    if not any(row["stage"] == "final" for row in rows):
        rows.append({"stage": "failed", "note": "every candidate diverged"})
    return rows


def _at(rows: Sequence[Row], *stages: str) -> set[str]:
    """Return the cells that have a row of one of these stages."""
    return {row["cell"] for row in rows if row["stage"] in stages}


def _described(cell: Cell) -> Any:
    experiment = cell.experiment
    return experiment if isinstance(experiment, str) else experiment.configuration()
