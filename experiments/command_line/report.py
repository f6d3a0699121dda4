"""The command `report`: one HTML page of results."""

import argparse
import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import analysis
from analysis.units import Against
from experiments.command_line import options, unused
from experiments.command_line.output import say
from experiments.running.results import FILE
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
    options.add_against(command)
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
        drawn = _drawn(folders, given.against) if given.against != "steps" else {}
        page, left_out = pages.report(folders, given.title, path.parent, given.against, drawn)
    except (OSError, ValueError) as error:
        raise UsageError(f"no report of {given.results}: {error}") from error
    target.write(_sealed(page))
    for line in left_out:
        say(f"left out: {line}")
    say(f"{len(page) / 1e6:.1f} MB")
    if target.is_plain:
        print(path)


def _drawn(folders: Iterable[Path], against: Against) -> dict[Path, dict[str, bytes | None]]:
    """Return the figures of training runs against a unit, as PNG files by folder and name.

    A figure that cannot be drawn so is None.

    Raises:
        ValueError: if no folder has training runs.
    """
    from analysis import figures
    from analysis.reading import read
    from analysis.studies import study_of

    found: dict[Path, dict[str, bytes | None]] = {}
    for folder in folders:
        try:
            rows = read(folder / FILE)
            if "against" not in study_of(rows).choices:
                continue
        except (OSError, ValueError):  # the page leaves it out, and says so
            continue
        own = found.setdefault(folder, {})
        with tempfile.TemporaryDirectory() as stage:
            for name, module in figures.of_study(rows, against).items():
                own[name] = None
                with contextlib.suppress(ValueError):  # no value fits on an axis
                    stem = Path(stage) / name
                    (path,) = analysis.save_figure(module.draw(rows), stem, formats=["png"])
                    own[name] = path.read_bytes()
    if not found:
        raise ValueError(f"it has no training runs to compare against {against}")
    return found


def _sealed(page: str) -> str:
    page = page.rstrip("\n") + "\n"
    return f"{page}<!-- estimax {hashlib.sha256(page.encode()).hexdigest()} -->\n"


def _is_sealed(content: bytes) -> bool:
    seal = _SEAL.search(content)
    return bool(seal) and hashlib.sha256(content[: seal.start()]).hexdigest() == seal[1].decode()
