"""What every study leaves: a printed table, the table as files, and its figures."""

import sys

import analysis
from experiments.results import Results
from experiments.text import printable


def present(results: Results, table) -> None:
    """Print a table and where the results are."""
    print(f"{analysis.to_text(table)}\n\nresults in {results.folder}", flush=True)


def save(results: Results, table, figures) -> None:
    """Save a table in all its formats, and the figures by name, drawn from the same rows."""
    analysis.save_table(table, results.folder / "table")
    rows = results.table()
    for name, kind in figures.items():
        try:
            drawn = kind.draw(rows), kind.data(rows)
        except ValueError as error:  # nothing that an axis can hold
            say(f"no figure {name}: {error}")
        else:
            figure, data = drawn
            analysis.save_figure(figure, results.folder / name, data)


def say(message: str) -> None:
    """Say something on the error stream, so that tables can be piped."""
    print(printable(message), file=sys.stderr, flush=True)
