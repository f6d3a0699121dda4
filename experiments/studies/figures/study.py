"""What a figure is drawn from: tasks that leave rows."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from experiments.measurement.point import Row
from experiments.running.progress import Progress
from experiments.running.results import Results

STUDY = "figure"

BUDGETS = ("smoke", "laptop")
"""A few seconds, for tests; and what a figure for a paper takes."""

Task = Callable[[Callable[[float], None]], list[Row]]
"""Computes rows; is given what takes the fraction that is done."""


@dataclasses.dataclass(frozen=True)
class Study:
    """The tasks behind a figure.

    Attributes:
        name: the figure's name on the command line.
        title: what it shows, and after which paper.
        drawn_by: the module of `analysis.figures`.
        settings: everything that the rows depend on, as plain values.
        tasks: by name; each leaves its rows when it ends.
    """

    name: str
    title: str
    drawn_by: str
    settings: Mapping[str, Any]
    tasks: Mapping[str, Task]

    def configuration(self) -> dict[str, Any]:
        """Return what identifies the run."""
        about = {"study": STUDY, "figure": self.name, "title": self.title}
        return about | dict(self.settings) | {"tasks": list(self.tasks)}

    def run(self, results: Results, progress: Progress) -> None:
        """Run the tasks whose rows are not there yet."""
        done = {row["task"] for row in results.rows}
        for name, task in self.tasks.items():
            if name in done:
                progress.skip(name)
                continue
            with progress.task(name) as advance:
                shared = {"study": STUDY, "figure": self.name, "task": name}
                results.add([shared | row for row in task(advance)])
        results.finish()
