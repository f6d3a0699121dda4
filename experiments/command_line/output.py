"""What every study leaves: a printed table, the table as files, and its figures."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import pandas as pd

import analysis
from experiments.running.results import FILE, Results, identity
from experiments.system import hosts, signals
from experiments.system.errors import UsageError
from experiments.system.folder import Folder
from experiments.system.text import printable

T = TypeVar("T")

TABLE_FILES = ("table.txt", "table.md", "table.csv", "table.tex")


@contextlib.contextmanager
def opened(
    given: argparse.Namespace, name: str, configuration: Mapping[str, Any], files: Sequence[str]
) -> Iterator[Results]:
    """Yield the results of a run, in a folder that is this command's while the block runs.

    Args:
        given: the arguments: `output` and `force`.
        name: what the folder is called where `output` does not say; its identity follows.
        configuration: what is asked for.
        files: names, or patterns of names, of all files that will be written beside the results.

    Raises:
        UsageError: where the folder is not one to write into, before anything is computed.
    """
    folder = Folder(given.output or Path("results") / f"{name}-{identity(configuration)}")
    with signals.heeded(), contextlib.ExitStack() as stack:
        refusal = None
        if jax.process_index() == 0:
            try:
                folder.check([FILE, *files], force=given.force)
                stack.enter_context(folder.held())
                if given.force:
                    folder.begin_anew()
                    stack.callback(_say_renamed, folder)
            except UsageError as error:
                refusal = error
        if not all(hosts.gathered(refusal is None)):  # all go on, or none
            raise refusal or UsageError("the first process says why not")
        yield Results(folder, configuration) if given.force else Results.open(folder, configuration)


def _say_renamed(folder: Folder) -> None:
    for name, kept in folder.renamed.items():
        say(f"{name} was changed since estimax wrote it: kept as {kept}")


def figure_files(*names: str) -> list[str]:
    """Return the files of figures of these names."""
    return [f"{name}.{ending}" for name in names for ending in ("pdf", "png", "csv")]


def shown(results: Results, make: Callable[[pd.DataFrame], T]) -> T:
    """Return what a function makes of the rows: a table, or a figure.

    Raises:
        UsageError: where rows that were there already make none: they were changed, or damaged.
    """
    try:
        return make(results.table())
    except ValueError as error:
        if not results.reopened:
            raise
        raise UsageError(
            f"{results.folder.path / FILE} cannot be shown: {error}; choose another --output, or "
            "--force to run again"
        ) from error


def present(results: Results, table) -> None:
    """Print a table and where the results are."""
    print(f"{analysis.to_text(table)}\n\nresults in {results.folder}", flush=True)


def save(results: Results, table, figures) -> None:
    """Save a table in all its formats, and the figures by name, drawn from the same rows."""
    hosts.check_signals()
    with results.folder.staged() as stage:
        analysis.save_table(table, stage / "table")
        rows = results.table()
        for name, kind in figures.items():
            try:
                drawn = kind.draw(rows), kind.data(rows)
            except ValueError as error:  # nothing that an axis can hold
                say(f"no figure {name}: {error}")
            else:
                figure, data = drawn
                analysis.save_figure(figure, stage / name, data)


def conclude(results: Results, tabulate: Callable[[pd.DataFrame], Any], figures) -> None:
    """Make the table of the results, save it with the figures, and print it."""
    table = shown(results, tabulate)
    save(results, table, figures)
    present(results, table)


def say(message: str) -> None:
    """Say something on the error stream, so that tables can be piped."""
    print(printable(message), file=sys.stderr, flush=True)
