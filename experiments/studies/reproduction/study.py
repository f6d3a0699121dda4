"""The reproduction of a published table, cell by cell."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.data import DataError
from experiments.measurement.point import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.reproduction.table import Cell, CellRun, Scale, Table
from experiments.system.folder import slug

STUDY = "reproduce"


@dataclasses.dataclass(frozen=True)
class ReproduceSettings:
    """The reproduction of a table; every field is part of the run's identity.

    Attributes:
        table: the published table.
        scale: the name of a scale.
        seed: the first seed.
    """

    table: Table
    scale: str
    seed: int = 0

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
        }

    @property
    def size(self) -> Scale:
        """The size of a run at the scale."""
        return self.table.scales[self.scale]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that are run at the scale."""
        return self.table.cells_at(self.size)


@dataclasses.dataclass(frozen=True)
class Reproduction(Study[Cell]):
    """Cells of a table; an interrupted cell continues from its checkpoint.

    Attributes:
        settings: what is reproduced.
        cells: the cells to run now.
    """

    settings: ReproduceSettings
    cells: Sequence[Cell]

    @property
    def name(self) -> str:
        """The table and the scale."""
        return f"{self.settings.table.name}-{self.settings.scale}"

    @property
    def parts(self) -> Mapping[str, Cell]:
        """The cells to run now."""
        return {cell.name: cell for cell in self.cells}

    @property
    def required(self) -> set[str]:
        """All cells that are run at the scale."""
        return {cell.name for cell in self.settings.cells}

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return self.settings.configuration()

    @property
    def modules(self) -> set[str]:
        """The names of the modules of the experiments."""
        cells = self.settings.table.cells
        return {type(self).__module__, *(type(cell.experiment).__module__ for cell in cells)}

    @property
    def first_rows(self) -> list[Row]:
        """The published numbers and the predictions."""
        return [self._shared | row for row in self.settings.table.rows()]

    def done(self, rows: Sequence[Row]) -> set[str]:
        """Return the cells with rows; those whose data were missing are run again."""
        return _at(rows, "final", "skipped", "failed")

    def run(
        self, parts: Mapping[str, Cell], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        """Run cells."""
        missing: dict[str, str] = {}  # errors by data set; each is looked for only once
        for name, cell in parts.items():
            with progress.task(name) as advance:
                folder = results.folder.unfinished / slug(name)
                rows = self._rows(cell, missing, folder, progress, advance)
                if rows[-1]["stage"] == "missing" and name in _at(results.rows, "missing"):
                    rows = []
                yield [self._shared | {"cell": name} | row for row in rows]
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def _shared(self) -> Row:
        """The columns that all rows share."""
        settings = self.settings
        return {"study": STUDY, "table": settings.table.name, "budget": settings.scale}

    def _rows(
        self,
        cell: Cell,
        missing: dict[str, str],
        folder: Path,
        progress: Progress,
        advance: Callable[[float], None],
    ) -> list[Row]:
        settings, experiment = self.settings, cell.experiment
        if isinstance(experiment, str):
            return [{"stage": "skipped", "note": experiment}]
        splits = sorted({target.split for target in cell.targets})
        data = experiment.about_data
        try:
            if data in missing:
                raise DataError(missing[data])
            run = CellRun(settings.size, settings.seed, splits, folder, progress, advance)
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
