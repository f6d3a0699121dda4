"""The command `figure`: a figure of the papers, computed and drawn."""

import argparse
from pathlib import Path

import analysis
from analysis import figures as drawings
from experiments.command_line import options
from experiments.command_line.output import say
from experiments.figures import BUDGETS, FIGURES, build
from experiments.progress import Progress
from experiments.results import Results, identity


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("figure", _run, "Compute and draw a figure: PDF, PNG, and its data as CSV.")
    command.epilog = f"\nfigures:     {', '.join(FIGURES)}\n"
    command.add_argument("name", metavar="NAME", help="the figure")
    options.add_budget(command, BUDGETS)
    options.add_output(command, "compute again what is there, replace other results")


def _run(given: argparse.Namespace) -> None:
    study = build(given.name, given.budget)
    configuration = study.configuration()
    folder = given.output or Path("results") / f"{study.name}-{identity(configuration)}"
    results = Results.open(folder, configuration, force=given.force)
    if results.complete:
        say(f"{folder} holds this run already (--force runs it again)")
    else:
        with Progress(len(study.tasks)) as progress:
            study.run(results, progress)
    rows = results.table()
    module = getattr(drawings, study.drawn_by)
    paths = analysis.save_figure(module.draw(rows), folder / study.name, module.data(rows))
    print("\n".join(map(str, paths)))
