"""The command `report`: one HTML page of results."""

import argparse
from pathlib import Path

from analysis import report as pages
from analysis.files import write_text
from experiments.command_line.output import say
from experiments.errors import UsageError


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("report", _run, "Write one HTML page of everything in a results folder.")
    option = command.add_argument
    option(
        "results",
        nargs="?",
        type=Path,
        default=Path("results"),
        metavar="RESULTS",
        help="a results folder, or a folder of such (default: results)",
    )
    option("--output", type=Path, metavar="FILE", help="the page (default: RESULTS/report.html)")
    option("--title", default="estimax results", help="of the page")


def _run(given: argparse.Namespace) -> None:
    path = given.output or given.results / "report.html"
    try:
        page, left_out = pages.report(pages.find(given.results), given.title)
    except (OSError, ValueError) as error:
        raise UsageError(f"no report of {given.results}: {error}") from error
    try:
        write_text(path, page)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    for line in left_out:
        say(f"left out: {line}")
    say(f"{len(page) / 1e6:.1f} MB")
    print(path)
