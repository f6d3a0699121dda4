"""The command `diff`: which rows of two results differ by more than their errors."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import analysis
from experiments.command_line import options, unused
from experiments.command_line.existing import read
from experiments.command_line.output import say, terminal_width
from experiments.system.errors import UsageError
from experiments.system.folder import Folder

if TYPE_CHECKING:
    from analysis.tables.difference import Difference

_ROWS = 20
_STEM = "difference"
_EPILOG = """\
A and B are results of the same study: with other seeds, on another machine, or
of another version.

  estimax compare --problem Quadratic --output results/laptop
  estimax compare --problem Quadratic --seed 1 --output results/other
  estimax diff results/laptop results/other

A row is matched by its problem, estimator, metric and seed. Where A and B have
no common seed, means over seeds are compared. Each difference is divided by its
standard error (z), which follows from the 95 % intervals, or after training
from the values over seeds. p-values are adjusted for the number of rows, so
results that differ in their seeds alone are said to differ at most once in 20
times. Times are not judged. The last line is the verdict.

exit status: 0 if A and B are the same, or equal within their errors; 1 if they
differ, or no row has an error to compare by; 2 if they cannot be compared.
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG
    option = command.add_argument
    for name in "AB":
        option(name.lower(), type=options.path, metavar=name, help="a results folder or file")
    option(
        "--rows",
        type=options.count,
        default=_ROWS,
        metavar="N",
        help=f"rows of the printed table, those that differ most (default: {_ROWS})",
    )
    option(
        "--output",
        type=options.path,
        metavar="DIR",
        help=f"folder for the table of all rows, {_STEM}.txt, .md, .csv and .tex",
    )


def run(given: argparse.Namespace) -> int:
    """Run the command; return 0 if the results agree, else 1."""
    unused.without_effect(given, "on existing results", "device", "data")
    found = difference_of(given.a, given.b)
    if given.output:
        folder = Folder(given.output)
        names = [f"{_STEM}.{ending}" for ending in ("txt", "md", "csv", "tex")]
        # One that was changed since is refused where it would be replaced.
        folder.check(names, force=True)
        with folder.held(), folder.staged() as stage:
            analysis.save_table(found.table, stage / _STEM)
    print(found.text(terminal_width(), given.rows), end="")
    if given.output:
        say(f"all rows are in {given.output / _STEM}.txt, .md, .csv and .tex")
    return 0 if found.agree else 1


def difference_of(a: Path, b: Path) -> "Difference":
    """Return what two results differ in.

    Args:
        a: a results folder or file.
        b: another one.

    Raises:
        UsageError: if one cannot be read, or they cannot be compared.
    """
    tables = [read(path) for path in (a, b)]
    from analysis.tables.difference import difference  # slow, so once both are read

    try:
        return difference(tables[0], tables[1], (str(a), str(b)))
    except ValueError as error:
        raise UsageError(f"{a} and {b} cannot be compared: {error}") from error
