"""The command `figure`: a figure of the papers, computed and drawn."""

import argparse

import analysis
from analysis import figures
from experiments.command_line import options
from experiments.command_line.output import completed, figure_files, shown
from experiments.studies.figures import FIGURES, SCALES, build


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("figure", _run, "Compute and draw a figure: PDF, PNG, and its data as CSV.")
    command.epilog = f"\nfigures:     {', '.join(FIGURES)}\n"
    command.add_argument("name", metavar="NAME", help="the figure")
    options.add_scale(command, SCALES)
    options.add_output(command)


def _run(given: argparse.Namespace) -> None:
    study, drawn_by = build(given.name, given.budget)
    module = figures.named(drawn_by)
    with completed(given, study, figure_files(study.name)) as results:
        figure, data = shown(results, lambda rows: (module.draw(rows), module.data(rows)))
        with results.folder.staged() as stage:
            paths = analysis.save_figure(figure, stage / study.name, data)
    print("\n".join(str(results.folder.path / path.name) for path in paths))
