"""The command `reproduce`: a published table, run again beside its numbers."""

import argparse

import analysis
from analysis.figures import reproduction
from experiments.command_line import options, unused
from experiments.command_line.output import (
    TABLE_FILES,
    conclude,
    figure_files,
    opened,
    say,
)
from experiments.running.progress import Progress
from experiments.studies.reproduction import BUDGETS, TABLES, Table, build, reproduce
from experiments.studies.reproduction.reproduce import Settings
from experiments.studies.reproduction.table import Cell
from experiments.system.errors import UsageError

_EPILOG = """
tables:      {tables}
budgets:     smoke (a minute or two), laptop (at most ninety minutes on two cores), paper (as
             published; for an accelerator)
A killed run goes on where it stopped. For example:

  estimax reproduce jang2017-table1 --budget smoke
  estimax reproduce jang2017-table1 --budget laptop --cells 'VAE, Bernoulli'
"""


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("reproduce", _run, "Run a published table again, beside its numbers.")
    command.epilog = _EPILOG.format(tables=", ".join(TABLES))
    option = command.add_argument
    option("name", metavar="NAME", help="the table")
    options.add_budget(command, BUDGETS)
    option(
        "--cells",
        nargs="+",
        type=options.text,
        metavar="TEXT",
        help="run only cells whose names contain one of these texts (default: all; at budget "
        "smoke, of the largest tables, one of each estimator)",
    )
    option("--list", action="store_true", help="list the table's cells, and run nothing")
    option(
        "--binarisation",
        type=options.choice("fixed", "published"),
        default="fixed",
        metavar="{fixed,published}",
        help="of MNIST where papers share one file: the project's own, or that file from the "
        "--data folder (default: fixed)",
    )
    option("--seed", type=options.seed, default=0, metavar="N", help="the first seed (default: 0)")
    options.add_output(command, "run again what is there, replace other results")


def _run(given: argparse.Namespace) -> None:
    table = build(given.name, given.binarisation)
    settings = Settings(table, given.budget, given.seed)
    options.check_seeds(given.seed, settings.spent.seeds)
    cells = _chosen(table, given.cells) or settings.cells
    if given.list:
        unused.of_listing(given)
        unused.without_effect(given, "with --list", "seed")
        print("\n".join(cell.name for cell in cells))
        return
    configuration = settings.configuration()
    files = [*TABLE_FILES, *figure_files("reproduction")]
    with opened(given, f"{table.name}-{given.budget}", configuration, files) as results:
        if results.complete:
            say(f"{results.folder} holds this run already (--force runs it again)")
        else:
            with Progress(len(cells)) as progress:
                reproduce.reproduce(settings, cells, results, progress)
        conclude(results, analysis.reproduction_table, {"reproduction": reproduction})


def _chosen(table: Table, texts: list[str] | None) -> list[Cell]:
    """Return the cells whose names have one of the texts in them."""
    for text in texts or []:
        if not any(text in cell.name for cell in table.cells):
            raise UsageError(
                f"no cell of {table.name} has {text!r} in its name (--list names them)"
            )
    return [cell for cell in table.cells if any(text in cell.name for text in texts or [])]
