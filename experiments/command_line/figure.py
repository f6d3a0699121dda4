"""The command `figure`: a figure of the papers, computed and drawn."""

import argparse

import analysis
from analysis import figures
from experiments.command_line import options
from experiments.command_line.output import figure_files, opened, say, shown
from experiments.running.progress import Progress
from experiments.studies.figures import BUDGETS, FIGURES, build


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
    with opened(given, study.name, configuration, figure_files(study.name)) as results:
        if results.complete:
            say(f"{results.folder} holds this run already (--force runs it again)")
        else:
            with Progress(len(study.tasks)) as progress:
                study.run(results, progress)
        module = figures.named(study.drawn_by)
        figure, data = shown(results, lambda rows: (module.draw(rows), module.data(rows)))
        with results.folder.staged() as stage:
            paths = analysis.save_figure(figure, stage / study.name, data)
    print("\n".join(str(results.folder.path / path.name) for path in paths))
