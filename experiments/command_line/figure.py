"""The command `figure`: a figure of the papers, computed and drawn."""

import argparse
import dataclasses
import functools
from typing import TYPE_CHECKING

import analysis
from experiments.command_line import jobs, options, rough
from experiments.command_line.output import (
    TABLE_FILES,
    drawing,
    figure_files,
    only,
    readable,
    shown,
    terminal_width,
)
from experiments.running.results import Results
from experiments.running.user_code import parse_problem
from experiments.studies.figures import FIGURES, SCALES, build
from experiments.studies.figures.predictions import TASK
from experiments.studies.figures.study import STUDY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SMALL = "They were made about the run of --budget laptop; this one is too small to decide them."


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = options.listed("figures", FIGURES)
    command.add_argument("figure", metavar="NAME", help="the figure")
    options.add_scale(command, SCALES)
    options.add_output(command)
    options.add_drawing(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    study, drawn_by = build(given.figure, given.budget)
    from analysis import figures

    module = figures.named(drawn_by)
    drawn = drawing(given)

    def made(rows: "pd.DataFrame") -> "tuple[Figure, pd.DataFrame]":
        rows = only(rows, drawn.only)
        return module.draw(rows, drawn.page), module.data(rows)

    def own(results: Results) -> None:
        figure, data = shown(results, made)
        with results.folder.staged() as stage:
            paths = analysis.save_figure(figure, stage / study.name, data, drawn.formats)
        if TASK in study.parts:
            table = readable(results)
            if given.budget != SCALES[-1]:
                table = dataclasses.replace(table, notes=[*table.notes, _SMALL])
            print(analysis.to_text(table, terminal_width()))
            with results.folder.staged() as stage:
                analysis.save_table(table, stage / "table")
        print("\n".join(str(results.folder.path / path.name) for path in paths))

    about = study.configuration
    times = None
    if about["study"] != STUDY:
        times = functools.partial(rough.seconds, study, parse_problem(str(about["problem"])))
    files = figure_files(study.name, formats=drawn.formats)
    files += TABLE_FILES if TASK in study.parts else ()
    return jobs.Job(study, drawn, None, files, own, times)
