"""Studies: named parts that yield rows of one table, and the function that runs any study."""

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from experiments.measurement.point import Row
from experiments.running.identity import identity
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.system.folder import Folder

Part = TypeVar("Part")


class Study(abc.ABC, Generic[Part]):
    """A study, computed part by part; each part yields rows of one table."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name of the results folder, unless the user chooses one."""

    @property
    @abc.abstractmethod
    def parts(self) -> Mapping[str, Part]:
        """The parts to run, by name."""

    @abc.abstractmethod
    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""

    @abc.abstractmethod
    def run(
        self, parts: Mapping[str, Part], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        """Run parts in order, and yield the rows of each as it finishes.

        Args:
            parts: those of `parts` whose rows are missing; at least one.
            results: the rows so far, and the folder; `run` adds no rows.
            progress: reports progress.
        """

    @abc.abstractmethod
    def done(self, rows: Sequence[Row]) -> set[str]:
        """Return the names of the parts whose rows are there."""

    @property
    def required(self) -> set[str]:
        """The names of the parts without which the study is not complete."""
        return set(self.parts)

    @property
    def first_rows(self) -> list[Row]:
        """Rows that precede those of the parts."""
        return []

    @property
    def modules(self) -> set[str]:
        """The names of the modules that compute the rows; what they import belongs to them."""
        return {type(self).__module__}

    @property
    def identity(self) -> str:
        """Hash of everything that determines the rows."""
        return identity(self.configuration(), self.modules)

    def open(self, folder: Folder) -> Results:
        """Open the study's results in a folder, as `Results.open`."""
        return Results.open(folder, self.configuration(), self.modules)


def run(study: Study[Any], results: Results, progress: Progress) -> None:
    """Run the parts of a study whose rows are missing; add the rows of each as it finishes.

    Args:
        study: the study.
        results: its results so far; complete once all required parts are done.
        progress: reports progress.
    """
    if not results.rows and study.first_rows:
        results.add(study.first_rows)
    done = study.done(results.rows)
    for name in study.parts:
        if name in done:
            progress.skip(name)
    missing = {name: part for name, part in study.parts.items() if name not in done}
    if missing:
        for rows in study.run(missing, results, progress):
            if rows:
                results.add(rows)
    if study.required <= study.done(results.rows):
        results.finish()
