"""The command `figure`: a figure of the papers, computed and drawn."""

import argparse

import analysis
from experiments.command_line import options
from experiments.command_line.output import completed, figure_files, shown
from experiments.studies.figures import FIGURES, SCALES, build


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = options.listed("figures", FIGURES)
    command.add_argument("name", metavar="NAME", help="the figure")
    options.add_scale(command, SCALES)
    options.add_output(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    study, drawn_by = build(given.name, given.budget)
    from analysis import figures

    module = figures.named(drawn_by)
    with completed(given, study, figure_files(study.name)) as results:
        figure, data = shown(results, lambda rows: (module.draw(rows), module.data(rows)))
        with results.folder.staged() as stage:
            paths = analysis.save_figure(figure, stage / study.name, data)
    print("\n".join(str(results.folder.path / path.name) for path in paths))
