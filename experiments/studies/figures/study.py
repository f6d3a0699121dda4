"""The study behind a figure: tasks that return rows."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from experiments.measurement.point import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study

STUDY = "figure"

SCALES = ("smoke", "laptop")
"""A few seconds, for tests; and what a figure for a paper takes."""

Task = Callable[[Callable[[float], None]], list[Row]]
"""Returns rows; takes a function that receives the fraction that is done."""


@dataclasses.dataclass(frozen=True)
class FigureStudy(Study[Task]):
    """The tasks behind a figure.

    Attributes:
        figure: the figure's name on the command line.
        title: what it shows, and after which paper.
        drawn_by: the module of `analysis.figures` that draws it.
        settings: everything that the rows depend on, as plain values.
        tasks: the tasks, by name.
    """

    figure: str
    title: str
    drawn_by: str
    settings: Mapping[str, Any]
    tasks: Mapping[str, Task]

    @property
    def name(self) -> str:
        """The figure's name."""
        return self.figure

    @property
    def parts(self) -> Mapping[str, Task]:
        """The tasks."""
        return self.tasks

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        about = {"study": STUDY, "figure": self.figure, "title": self.title}
        return about | dict(self.settings) | {"tasks": list(self.tasks)}

    @property
    def modules(self) -> set[str]:
        """The names of the modules of the tasks."""
        functions = [getattr(task, "func", task) for task in self.tasks.values()]  # of a partial
        return {type(self).__module__, *(function.__module__ for function in functions)}

    def done(self, rows: Sequence[Row]) -> set[str]:
        """Return the tasks that have rows."""
        return {row["task"] for row in rows}

    def run(
        self, parts: Mapping[str, Task], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        """Run tasks."""
        del results
        for name, task in parts.items():
            with progress.task(name) as advance:
                shared = {"study": STUDY, "figure": self.figure, "task": name}
                yield [shared | row for row in task(advance)]
