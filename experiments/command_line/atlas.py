"""The command `atlas`: every estimator on every problem that it takes."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import analysis
from experiments.command_line import jobs, options, unused
from experiments.command_line.output import TABLE_FILES, drawing, shown, terminal_width
from experiments.running.results import Results
from experiments.running.user_code import parse_estimators
from experiments.studies.atlas.choice import CHOSEN, POINTS, SCALES
from experiments.studies.atlas.predictions import PREDICTIONS
from experiments.studies.atlas.study import atlas

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
    option(
        "--list", action="store_true", help="list the points and the estimators, and run nothing"
    )
    options.add_output(command)
    options.add_drawing(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    if given.list:
        unused.of_listing(given)
        unused.without_effect(given, "with --list", *options.DRAWING)
        print("\n".join([*_points(given), "", *CHOSEN[given.budget]]))
        return
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    drawn = drawing(given, parse_estimators(CHOSEN[given.budget]).estimators)
    points = None if given.points is None else _points(given)

    def own(results: Results) -> None:
        if not results.complete:
            return  # predictions are of the whole
        table = shown(results, _predicted)
        print(analysis.to_text(table, terminal_width()), flush=True)
        with results.folder.staged() as stage:
            analysis.save_table(table, stage / _PREDICTIONS)

    study = atlas(given.budget, points)
    files = [f"{_PREDICTIONS}{name.removeprefix('table')}" for name in TABLE_FILES]
    return jobs.Job(study, drawn, own_files=files, own=own)


def _points(given: argparse.Namespace) -> Sequence[str]:
    titles = {point.title: point.title for point in POINTS[given.budget]}
    return options.containing(given.points, titles, "point") or [*titles]


def _predicted(rows: "pd.DataFrame") -> "analysis.ReadableTable":
    """Return the table of the predictions, as the cells decide them."""
    import pandas as pd

    from analysis.atlas import cells
    from analysis.tables.predictions import predictions_table

    found = cells(rows).to_dict("records")
    decided = pd.DataFrame([one.row(found) for one in PREDICTIONS])
    decided.attrs = rows.attrs
    return predictions_table(decided)
