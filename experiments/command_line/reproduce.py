"""The command `reproduce`: our results compared with a published table."""

import argparse
import dataclasses
import functools
from collections.abc import Sequence

from experiments.command_line import jobs, options, rough, unused
from experiments.command_line.output import drawing
from experiments.studies.reproduction.papers import TABLES, build
from experiments.studies.reproduction.study import ReproduceSettings, reproduction
from experiments.studies.reproduction.table import SCALES, Cell
from experiments.system.errors import UsageError

_EPILOG = """\
{tables}

budgets:
  smoke   a minute or two
  laptop  at most ninety minutes on two cores
  paper   as published, for an accelerator

An interrupted run continues where it stopped. For example:

  estimax reproduce jang2017-table1 --budget smoke
  estimax reproduce jang2017-table1 --cells 'VAE, Bernoulli'
  estimax reproduce hooper2026-vae --budget paper --cells '32 x 16, one-hot' \\
      --steps 15000 --seeds 1 --learning-rates 1e-3 3.16e-3
"""


_SIZE = "steps", "seeds", "learning_rates"
"""The names of the options that change a budget."""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG.format(tables=options.listed("tables", TABLES))
    option = command.add_argument
    option("table", nargs="?", metavar="NAME", help="the table")
    options.add_scale(command, SCALES)
    option(
        "--cells",
        nargs="+",
        type=options.text,
        metavar="TEXT",
        help="run only cells whose names contain one of these texts (default: all; for the "
        "largest tables with --budget smoke, one per estimator)",
    )
    option(
        "--list", action="store_true", help="list the table's cells, or all tables, and run nothing"
    )
    option(
        "--binarisation",
        type=options.choice("fixed", "published"),
        default="fixed",
        metavar="{fixed,published}",
        help="binarisation of MNIST: drawn once by estimax, or the file that papers share, which "
        "is read from the --data folder (default: fixed)",
    )
    own = "in place of the budget's; for tables that are trained"
    option("--steps", type=options.positive, metavar="N", help=f"training steps, {own}")
    option("--seeds", type=options.positive, metavar="N", help=f"number of seeds, {own}")
    option(
        "--learning-rates",
        nargs="+",
        type=options.positive_number,
        metavar="R",
        help=f"learning rates, of which the best is reported, {own}",
    )
    option("--seed", type=options.seed, default=0, metavar="N", help="the first seed (default: 0)")
    options.add_output(command)
    options.add_drawing(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    if given.list and given.table is None:
        unused.of_listing(given)
        alone = "seed", "cells", "binarisation", *_SIZE, *options.DRAWING
        unused.without_effect(given, "with --list of all tables", *alone)
        print("\n".join(TABLES))
        return
    if given.list:
        _, cells = _chosen(given)
        unused.of_listing(given)
        unused.without_effect(given, "with --list", "seed", *_SIZE, *options.DRAWING)
        print("\n".join(cell.name for cell in cells))
        return
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    settings, cells = _chosen(given)
    times = functools.partial(rough.of_cells, cells, settings.size)
    return jobs.Job(reproduction(settings, cells), drawing(given), rough=times)


def _chosen(given: argparse.Namespace) -> tuple[ReproduceSettings, Sequence[Cell]]:
    if given.table is None:
        raise UsageError("name the table: estimax reproduce --list shows all")
    table = build(given.table, given.binarisation).at(given.budget)
    settings = ReproduceSettings(table, given.budget, given.seed)
    if settings.is_trained:
        rates = tuple(given.learning_rates or ()) or None
        own = {"steps": given.steps, "seeds": given.seeds, "rates": rates}
        settings = dataclasses.replace(settings, **own)
    elif not given.list:
        unused.without_effect(given, f"on {table.name}, which trains nothing", *_SIZE)
    options.check_seeds(given.seed, settings.size.seeds)
    named = {cell.name: cell for cell in table.cells}
    return settings, options.containing(
        given.cells, named, f"cell of {table.name}"
    ) or settings.cells
