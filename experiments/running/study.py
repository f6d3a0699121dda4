"""Studies: named parts that yield rows of one table, and the function that runs any study."""

import dataclasses
import functools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from experiments.measurement.rows import Row
from experiments.running.identity import environment, identity
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.system.folder import Folder

Part = TypeVar("Part")


@dataclasses.dataclass(frozen=True)
class Study(Generic[Part]):
    """A study, computed part by part; each part yields rows of one table.

    Attributes:
        name: the name of the results folder, unless the user chooses one.
        configuration: the settings, as plain values.
        modules: the names of the modules that compute the rows; their imports need not be named.
        parts: the parts to run, by name.
        rows: runs parts whose rows are missing, at least one, in order, and yields the rows of each
            as it finishes; takes the parts, the results so far and the progress.
        done: returns the names of parts (and possibly others) that have rows.
        required: the names of the parts without which the study is not complete; None for all.
        first_rows: rows that precede those of the parts.
        sources: where parameters were read, for the provenance.
    """

    name: str
    configuration: Mapping[str, Any]
    modules: Collection[str]
    parts: Mapping[str, Part]
    rows: Callable[[Mapping[str, Part], Results, Progress], Iterator[list[Row]]]
    done: Callable[[Sequence[Row]], set[str]]
    required: Collection[str] | None = None
    first_rows: Sequence[Row] = ()
    sources: Sequence[str] = ()

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """Everything besides the configuration that determines the rows; computed on first use."""
        return environment(self.modules)

    @property
    def identity(self) -> str:
        """Hash of everything that determines the rows."""
        return identity(self.configuration, self.environment)

    def open(self, folder: Folder) -> Results:
        """Open the study's results in a folder, as `Results.open`."""
        return Results.open(folder, self.configuration, self.environment, self.sources)


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
        begun = time.monotonic()
        for rows in study.rows(missing, results, progress):
            if rows:
                found = study.done([*results.rows, *rows])
                if new := [name for name in missing if name in found - done]:
                    now = time.monotonic()
                    results.seconds |= dict.fromkeys(new, (now - begun) / len(new))
                    begun, done = now, found
                results.add(rows)
                progress.finished(rows)
    required = study.parts if study.required is None else study.required
    if set(required) <= study.done(results.rows):
        results.finish()


def found_in(column: str) -> Callable[[Sequence[Row]], set[str]]:
    """Return a function that returns the values of a column, as `Study.done`."""
    return lambda rows: {row[column] for row in rows}
