"""Running a study in its folder, and its output: tables and figures."""

import argparse
import contextlib
import functools
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import jax

import analysis
from analysis.page import DEFAULT_FORMATS, FORMATS, PAGE, Page
from analysis.units import Against
from estimators import Estimator
from experiments.command_line.lines import of_study
from experiments.running.progress import Progress
from experiments.running.results import FILE, Results
from experiments.running.study import Study, run
from experiments.system import hosts, signals
from experiments.system.errors import UsageError
from experiments.system.folder import Folder
from experiments.system.text import nearest, printable

if TYPE_CHECKING:
    import pandas as pd

    from analysis import ReadableTable

T = TypeVar("T")

TABLE_FILES = ("table.txt", "table.md", "table.csv", "table.tex")


class Drawing(NamedTuple):
    """How figures are drawn.

    Attributes:
        page: their layout.
        only: the names of the estimators that they show; empty for all.
        formats: of their files.
        against: what training runs are drawn against.
    """

    page: Page = PAGE
    only: Sequence[str] = ()
    formats: Sequence[str] = DEFAULT_FORMATS
    against: Against = "steps"


DRAWING = Drawing()


def drawing(given: argparse.Namespace, estimators: Iterable[Estimator] | None = None) -> Drawing:
    """Return how figures are drawn, from the arguments of `options.add_drawing`.

    Args:
        given: the arguments.
        estimators: those of the study, if they are known before it runs.

    Raises:
        UsageError: if an estimator to be drawn is of a class that none of them has.
    """
    if estimators is not None:
        known = list(dict.fromkeys(type(one).__name__ for one in estimators))
        for name in given.only:
            if (method := name.partition("[")[0]) not in known:
                raise UsageError(
                    f"--only: none of the estimators is called {name!r}{nearest(method, known)}"
                )
    return Drawing(Page(given.width, not given.no_title), given.only, tuple(given.format))


@contextlib.contextmanager
def completed(
    given: argparse.Namespace, study: Study[Any], files: Sequence[str]
) -> Iterator[Results]:
    """Run the missing parts of a study, and yield its results; the block holds the folder's lock.

    Args:
        given: the arguments: `output` and `force`.
        study: the study.
        files: names, or patterns of names, of all files that the block writes.

    Raises:
        UsageError: if the folder cannot be written to, before anything is computed.
    """
    with completed_in(folder_of(given, study), study, files, force=given.force) as results:
        yield results


def folder_of(given: argparse.Namespace, study: Study[Any]) -> Path:
    """Return the results folder of a command's study."""
    return given.output or Path("results") / f"{study.name}-{study.identity}"


@contextlib.contextmanager
def completed_in(
    path: Path, study: Study[Any], files: Sequence[str], *, force: bool, silent: bool = False
) -> Iterator[Results]:
    """Run the missing parts of a study, as `completed`, in a folder.

    Args:
        path: the folder.
        study: the study.
        files: names, or patterns of names, of all files that the block writes.
        force: whether to run again, and replace the results in the folder.
        silent: whether to show no progress.

    Raises:
        UsageError: if the folder cannot be written to, before anything is computed.
    """
    with _opened(path, study, files, force) as results:
        if not results.complete:
            silent = silent or jax.process_index() > 0
            with Progress(len(study.parts), silent=silent, lines=of_study(study)) as progress:
                run(study, results, progress)
        elif not silent:
            say(f"{results.folder} already contains this run (--force runs it again)")
        yield results


@contextlib.contextmanager
def _opened(path: Path, study: Study[Any], files: Sequence[str], force: bool) -> Iterator[Results]:
    folder = Folder(path)
    with signals.deferred(), contextlib.ExitStack() as stack:
        refusal = None
        if jax.process_index() == 0:
            try:
                folder.check([FILE, *files], force=force)
                stack.enter_context(folder.held())
                if force:
                    folder.begin_anew()
                    stack.callback(_say_renamed, folder)
            except UsageError as error:
                refusal = error
        if not all(hosts.gathered(refusal is None)):  # either all processes continue or none
            raise refusal or UsageError("the first process reports the reason")
        if force:
            yield Results(folder, study.configuration, study.environment, study.sources)
        else:
            yield study.open(folder)


def _say_renamed(folder: Folder) -> None:
    for name, kept in folder.renamed.items():
        say(f"{name} was changed since estimax wrote it; it is kept as {kept}")


def concluding_files(kind: str, formats: Sequence[str] = DEFAULT_FORMATS) -> list[str]:
    """Return the names of the files that `conclude` writes for a kind of study."""
    names = analysis.STUDIES[kind].figures
    from analysis.studies import SECOND

    second = [f"{SECOND}{Path(name).suffix}" for name in TABLE_FILES]
    return [*TABLE_FILES, *second, *figure_files(*names, formats=formats)]


def figure_files(*names: str, formats: Sequence[str]) -> list[str]:
    """Return the names of the files of figures."""
    return [f"{name}.{ending}" for name in names for ending in (*formats, "csv")]


def shown(results: Results, make: "Callable[[pd.DataFrame], T]") -> T:
    """Return the table or figure that a function makes from the rows.

    Raises:
        UsageError: if it cannot be made, since the rows of an earlier run were changed or damaged.
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


def conclude(results: Results, drawn: Drawing = DRAWING, **shown_as: Any) -> None:
    """Print the table of the results; save it in all formats, and the figures.

    Args:
        results: the results.
        drawn: how figures are drawn.
        shown_as: the choices of `analysis.studies.readable`.

    Raises:
        UsageError: if no estimator has the name of one to be drawn.
    """
    table = readable(results, **shown_as)
    try:
        print(shown(results, lambda rows: text(rows, table)), flush=True)  # drawing takes a while
    finally:  # also if the output cannot be written
        save(results.folder, results.table(), table, drawn)
    print(f"results in {results.folder}", flush=True)


def text(rows: "pd.DataFrame", table: "ReadableTable") -> str:
    """Return the table of results as text, and the second one, if there is one, below it."""
    from analysis.studies import second

    shown = [table, *filter(None, [second(rows)])]
    return "\n".join(analysis.to_text(one, terminal_width()) for one in shown)


def readable(results: Results, **shown_as: Any) -> "ReadableTable":
    """Return the table of the results, shown as `analysis.studies.readable` says."""
    from analysis import studies

    return shown(results, functools.partial(studies.readable, **shown_as))


def save(
    folder: Folder, rows: "pd.DataFrame", table: "ReadableTable", drawn: Drawing = DRAWING
) -> None:
    """Save the table of results in all formats, and their figures.

    Args:
        folder: the folder.
        rows: the results, with their metadata in `attrs`.
        table: the table.
        drawn: how figures are drawn.
    """
    from analysis import figures
    from analysis.studies import SECOND, second

    hosts.check_signals()
    with folder.staged() as stage:
        analysis.save_table(table, stage / "table")
        if also := second(rows):
            analysis.save_table(also, stage / SECOND)
        modules = figures.of_study(rows, drawn.against)
        rows = only(rows, drawn.only) if modules else rows
        for name, module in modules.items():
            try:
                figure, data = module.draw(rows, drawn.page), module.data(rows)
            except ValueError as error:  # no value fits on an axis
                say(f"no figure {name}: {error}")
            else:
                # What is there in another format would show an earlier drawing.
                there = [kind for kind in FORMATS if (folder.path / f"{name}.{kind}").exists()]
                formats = dict.fromkeys((*drawn.formats, *there))
                analysis.save_figure(figure, stage / name, data, list(formats))


def only(rows: "pd.DataFrame", names: Sequence[str]) -> "pd.DataFrame":
    """Return the rows that figures show, as `analysis.figures.only`.

    Raises:
        UsageError: for a name that no estimator has.
    """
    from analysis import figures

    try:
        return figures.only(rows, names)
    except ValueError as error:
        raise UsageError(f"--only: {error}") from error


def terminal_width() -> int:
    """Return the width of the terminal, from 60 to 200 columns; of a pipe, COLUMNS or 120."""
    return min(max(shutil.get_terminal_size((120, 24)).columns, 60), 200)


def say(message: str) -> None:
    """Print a message to the error stream, so that tables can be piped."""
    print(printable(message), file=sys.stderr, flush=True)
