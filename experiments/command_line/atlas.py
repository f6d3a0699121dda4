"""The command `atlas`: every estimator on every problem that it takes."""

import argparse
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import analysis
from experiments.command_line import jobs, options, rough, unused
from experiments.command_line.output import TABLE_FILES, drawing, shown, terminal_width
from experiments.running.results import Results
from experiments.studies.atlas.choice import POINTS, SCALES
from experiments.studies.atlas.predictions import PREDICTIONS
from experiments.studies.atlas.study import atlas, cells_of
from experiments.studies.figures.predictions import Prediction

if TYPE_CHECKING:
    import pandas as pd

_EPILOG = """\
The rows are cells: an estimator at a point of a problem, with squared bias,
variance and error at equal cost. The table says how each estimator ranks over
the problems; figures show the map of all cells, performance profiles (Dolan
and More 2002) and ranks, for unbiased and biased estimators apart.

budgets:
  smoke   four problems, six estimators: a minute or two
  laptop  every problem and most estimators: under two hours on two cores

An interrupted run continues where it stopped. For example:

  estimax atlas --budget smoke
  estimax atlas --list
  estimax atlas --points VAE Gates
"""

_PREDICTIONS = "predictions"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG
    option = command.add_argument
    options.add_scale(command, SCALES)
    option(
        "--points",
        nargs="+",
        type=options.text,
        metavar="TEXT",
        help="run only at points whose names contain one of these texts (default: all); the same "
        "command without it runs the rest",
    )
    option("--list", action="store_true", help="list the points, and run nothing")
    options.add_output(command)
    options.add_drawing(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    if given.list:
        unused.of_listing(given)
        unused.without_effect(given, "with --list", *options.DRAWING)
        print("\n".join(_points(given)))
        return
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    cells = cells_of(given.budget).values()
    drawn = drawing(given, [cell.estimator for cell in cells])
    points = None if given.points is None else _points(given)
    predictions = PREDICTIONS[given.budget]

    def own(results: Results) -> None:
        if not (results.complete and predictions):
            return
        table = shown(results, functools.partial(_predicted, predictions))
        print(analysis.to_text(table, terminal_width()), flush=True)
        with results.folder.staged() as stage:
            analysis.save_table(table, stage / _PREDICTIONS)

    study = atlas(given.budget, points)
    files = [
        f"{_PREDICTIONS}{name.removeprefix('table')}" for name in TABLE_FILES * bool(predictions)
    ]
    rough_times = functools.partial(
        rough.of_atlas, study.parts, study.configuration["tuning_steps"]
    )
    return jobs.Job(study, drawn, own_files=files, own=own, rough=rough_times)


def _points(given: argparse.Namespace) -> Sequence[str]:
    titles = {point.title: point.title for point in POINTS[given.budget]}
    return options.containing(given.points, titles, "point") or [*titles]


def _predicted(predictions: Sequence[Prediction], rows: "pd.DataFrame") -> "analysis.ReadableTable":
    """Return the table of the predictions, as the cells decide them."""
    import pandas as pd

    from analysis.atlas import cells
    from analysis.tables.predictions import predictions_table

    found = [
        {str(name): value for name, value in cell.items()}
        for cell in cells(rows).to_dict("records")
    ]
    decided = pd.DataFrame([one.row(found) for one in predictions])
    decided.attrs = rows.attrs
    return predictions_table(decided)
