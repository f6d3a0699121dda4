"""The command `merge`: the results of several runs of a study as one results folder."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import analysis
from experiments.command_line import options, unused
from experiments.command_line.existing import read
from experiments.command_line.output import (
    DRAWING,
    Drawing,
    concluding_files,
    drawing,
    only,
    save,
    say,
    text,
)
from experiments.running.results import FILE
from experiments.system.errors import UsageError
from experiments.system.folder import Folder

if TYPE_CHECKING:
    import pandas as pd

_EPILOG = """\
The runs are of one study and one problem, and differ in what they measured:
estimators, seeds, temperatures, learning rates, samples, or cells of a table.
For example, of the jobs of a cluster:

  estimax merge results/job-* --output results/all
  estimax report results/all

Runs of `compare`, `temperature` and `train` may be of several problems: the
table has a block of lines for each, with a conclusion or who is first, and the
figures have panels for each.

Every command that reads results reads merged ones: `report`, `diff`, and
`merge` itself. What several runs have is kept once, if their numbers are the
same to rounding; else the first such row is named, and nothing is written. Runs
on other processors or devices are merged; those of other code, or other
versions of JAX or numpy, only with --mixed. Times are those of the machine that
measured them, the shorter of two. The metadata keep the settings, versions and
command of each run.

Parts of one run, such as `estimax reproduce TABLE --cells` in several folders,
become that run, and it can be continued there. Merged runs of different
settings are not continued.
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG
    option = command.add_argument
    option(
        "results", nargs="+", type=options.path, metavar="RESULTS", help="a results folder or file"
    )
    option(
        "--output", type=options.path, metavar="DIR", required=True, help="the new results folder"
    )
    option("--mixed", action="store_true", help="merge runs of different code or versions")
    option("--force", action="store_true", help="replace other results in the new folder")
    options.add_drawing(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    unused.without_effect(given, "on existing results", "device", "data")
    rows = merged(given.results, mixed=given.mixed)
    table = write(rows, given.output, force=given.force, drawn=drawing(given))
    print(text(rows, table))
    said = "" if rows.attrs["complete"] else " (not all are complete)"
    say(f"{len(rows):,} rows of {len(given.results)} results{said}")
    print(f"results in {given.output}", flush=True)


def merged(paths: Sequence[Path], *, mixed: bool = False) -> "pd.DataFrame":
    """Return the union of results, as `analysis.merging.merged`.

    Args:
        paths: results folders or files.
        mixed: whether runs of different code or versions may be merged.

    Raises:
        UsageError: if one cannot be read, or they cannot be merged.
    """
    tables = [read(path) for path in paths]
    from analysis.merging import merged  # slow, so once all are read

    try:
        return merged(tables, list(map(str, paths)), mixed=mixed)
    except ValueError as error:
        raise UsageError(f"the results cannot be merged: {error}") from error


def write(
    rows: "pd.DataFrame",
    path: Path,
    *,
    force: bool = False,
    drawn: Drawing = DRAWING,
    **shown_as: Any,
) -> "analysis.ReadableTable":
    """Write a results folder, with its tables and figures; return the table.

    Args:
        rows: results, with the metadata in `attrs`.
        path: the folder.
        force: whether other results there are replaced.
        drawn: how figures are drawn.
        shown_as: the choices of `analysis.studies.readable`.

    Raises:
        UsageError: if the folder has other results or a user's files, the rows have no table, or no
            estimator has the name of one to be drawn.
    """
    from analysis.studies import readable

    try:
        table = readable(rows, **shown_as)
    except ValueError as error:
        raise UsageError(f"the merged results cannot be shown: {error}") from error
    only(rows, drawn.only)
    folder = Folder(path)
    names = concluding_files(rows.attrs["configuration"]["study"], drawn.formats)
    folder.check([FILE, *names], force=force)
    with folder.held():
        if force:
            folder.begin_anew()
        elif (path / FILE).exists() and not _is_same(read(path), rows):
            raise UsageError(
                f"{path} holds other results; choose another --output, or --force to replace them"
            )
        with folder.staged() as stage:
            rows.to_parquet(stage / FILE, write_page_checksum=True)
        save(folder, rows, table, drawn)
    return table


def _is_same(before: "pd.DataFrame", rows: "pd.DataFrame") -> bool:
    return before.attrs == rows.attrs and before.equals(rows)
