"""The command `report`: one HTML page of results."""

import argparse
import hashlib
import re
from pathlib import Path

from experiments.command_line import options, unused
from experiments.command_line.output import say
from experiments.system.errors import UsageError
from experiments.system.output_file import OutputFile

_SEAL = re.compile(rb"<!-- estimax ([0-9a-f]{64}) -->\n\Z")
"""The end of a page, with the digest of the text before it: editing the page invalidates it."""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    option = command.add_argument
    option(
        "results",
        nargs="?",
        type=options.path,
        default=Path("results"),
        metavar="RESULTS",
        help="a results folder, or a folder of results folders (default: results)",
    )
    option(
        "--output",
        type=options.path,
        metavar="FILE",
        help="the page (default: RESULTS/report.html)",
    )
    option(
        "--force",
        action="store_true",
        help="replace the file even if estimax did not write it, or it was changed since",
    )
    option("--title", default="estimax results", help="title of the page (default: %(default)s)")


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    if not given.results.is_dir():
        raise UsageError(f"no report of {given.results}: there is no such folder")
    from analysis import report as pages

    unused.without_effect(given, "on a page of existing results", "device", "data")
    path = given.output or given.results / "report.html"
    try:
        folders = pages.find(given.results)
        target = OutputFile(path, "--output", force=given.force, ours=_is_sealed)
        page, left_out = pages.report(folders, given.title, path.parent)
    except (OSError, ValueError) as error:
        raise UsageError(f"no report of {given.results}: {error}") from error
    target.write(_sealed(page))
    for line in left_out:
        say(f"left out: {line}")
    say(f"{len(page) / 1e6:.1f} MB")
    if target.is_plain:
        print(path)


def _sealed(page: str) -> str:
    page = page.rstrip("\n") + "\n"
    return f"{page}<!-- estimax {hashlib.sha256(page.encode()).hexdigest()} -->\n"


def _is_sealed(content: bytes) -> bool:
    seal = _SEAL.search(content)
    return bool(seal) and hashlib.sha256(content[: seal.start()]).hexdigest() == seal[1].decode()
