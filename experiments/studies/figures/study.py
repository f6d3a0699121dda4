"""Figures on the command line, and the studies behind them."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from experiments.measurement.rows import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in
from experiments.studies.figures.predictions import TASK, Prediction

STUDY = "figure"

SCALES = ("smoke", "laptop")
"""A few seconds, for tests; and the full size, for papers."""

Task = Callable[[Callable[[float], None]], list[Row]]
"""Returns rows; takes a function that receives the fraction done."""


class Figure(NamedTuple):
    """A figure on the command line.

    Attributes:
        study: the study behind it, which has the figure's name.
        drawn_by: the module of `analysis.figures` that draws it.
    """

    study: Study[Any]
    drawn_by: str


def figure_study(
    name: str,
    title: str,
    drawn_by: str,
    settings: Mapping[str, Any],
    tasks: Mapping[str, Task],
    predictions: Sequence[Prediction] = (),
) -> Figure:
    """Return a figure drawn from the rows of tasks.

    Args:
        name: the figure's name.
        title: its content, and the paper it follows.
        drawn_by: the module of `analysis.figures` that draws it.
        settings: everything that the rows depend on, as plain values.
        tasks: the tasks, by name.
        predictions: what is expected of the rows, decided when all tasks are done.
    """
    functions = [getattr(task, "func", task) for task in tasks.values()]  # of a partial
    about = {"study": STUDY, "figure": name, "title": title, "tasks": list(tasks)}
    about |= {"drawn_by": drawn_by}
    if predictions:
        about |= {"predictions": [f"{one.text} ({one.source})" for one in predictions]}
    study = Study(
        name,
        about | dict(settings),
        {__name__, *(function.__module__ for function in functions)},
        {**tasks, TASK: tuple(predictions)} if predictions else tasks,
        functools.partial(_rows, name),
        found_in("task"),
    )
    return Figure(study, drawn_by)


def preset(name: str, title: str, drawn_by: str, study: Study[Any]) -> Figure:
    """Return a figure drawn from a study that has its own command."""
    about = {"figure": name, "title": title, "kind": STUDY, "drawn_by": drawn_by}
    configuration = {**study.configuration, **about}
    return Figure(dataclasses.replace(study, name=name, configuration=configuration), drawn_by)


def _rows(
    figure: str,
    parts: Mapping[str, Task | Sequence[Prediction]],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Run tasks; decide predictions last, from the rows of all tasks."""
    for name, task in parts.items():
        with progress.task(name) as advance:
            shared = {"study": STUDY, "figure": figure, "task": name}
            if name == TASK:
                found = [one.row(results.rows) for one in cast(Sequence[Prediction], task)]
            else:
                found = cast(Task, task)(advance)
            yield [shared | row for row in found]
