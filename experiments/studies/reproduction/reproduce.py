"""Reproducing a published table, cell by cell."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.data import DataError
from experiments.measurement.point import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.studies.reproduction.table import Budget, Cell, Order, Table
from experiments.system.folder import slug

STUDY = "reproduce"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is reproduced; all of it is part of the run's identity.

    Attributes:
        table: the published table.
        budget: the name of a budget.
        seed: the first seed.
    """

    table: Table
    budget: str
    seed: int = 0

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {
            "study": STUDY,
            "table": self.table.name,
            "title": self.table.title,
            "notes": list(self.table.notes),
            "budget": self.budget,
            "spent": dataclasses.asdict(self.spent),
            "seed": self.seed,
            "cells": {cell.name: _described(cell) for cell in self.table.cells},
        }

    @property
    def spent(self) -> Budget:
        """The budget."""
        return self.table.budgets[self.budget]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that the budget runs."""
        return self.table.cells_at(self.spent)


def reproduce(
    settings: Settings,
    cells: Sequence[Cell],
    results: Results,
    progress: Progress,
) -> None:
    """Run cells, adding the rows of each to the results when it ends.

    A cell whose rows are there is not run again; one that was killed goes on from its checkpoint.
    The results are complete when every cell that the budget runs is there.

    Args:
        settings: what is reproduced.
        cells: the cells to run now.
        results: receives the rows.
        progress: reports progress.
    """
    shared = {"study": STUDY, "table": settings.table.name, "budget": settings.budget}
    if not results.rows:
        results.add([shared | row for row in settings.table.rows()])
    missing: dict[str, str] = {}  # why there are no such data; not asked for again
    for cell in cells:
        if cell.name in _done(results):
            progress.skip(cell.name)
            continue
        with progress.task(cell.name) as advance:
            folder = results.folder.unfinished / slug(cell.name)
            rows = _run(settings, cell, missing, folder, progress, advance)
            if rows[-1]["stage"] != "missing" or cell.name not in _with(results, "missing"):
                results.add([shared | {"cell": cell.name} | row for row in rows])
            shutil.rmtree(folder, ignore_errors=True)
    if _done(results) >= {cell.name for cell in settings.cells}:
        results.finish()


def _run(
    settings: Settings,
    cell: Cell,
    missing: dict[str, str],
    folder: Path,
    progress: Progress,
    advance: Callable[[float], None],
) -> list[Row]:
    experiment = cell.experiment
    if isinstance(experiment, str):
        return [{"stage": "skipped", "note": experiment}]
    splits = sorted({target.split for target in cell.targets})
    data = experiment.about_data
    try:
        if data in missing:
            raise DataError(missing[data])
        order = Order(settings.spent, settings.seed, splits, folder, progress, advance)
        rows = experiment.run(order)
    except DataError as error:
        missing[data] = str(error)
        # Not done: it is run when the data are there.
        return [{"stage": "missing", "note": str(error)}]
    if not any(row["stage"] == "final" for row in rows):
        rows.append({"stage": "failed", "note": "every candidate diverged"})
    return rows


def _done(results: Results) -> set[str]:
    """Return the cells that need not be run."""
    return _with(results, "final", "skipped", "failed")


def _with(results: Results, *stages: str) -> set[str]:
    return {row["cell"] for row in results.rows if row["stage"] in stages}


def _described(cell: Cell) -> Any:
    experiment = cell.experiment
    return experiment if isinstance(experiment, str) else experiment.configuration()
