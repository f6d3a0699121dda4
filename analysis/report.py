"""One page of everything that results folders hold: it opens from disk, without a network."""

import base64
import os
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from analysis import formats
from analysis.claims import claims_table
from analysis.column import cell as cell_text
from analysis.columns import columns, footnotes, heading, note_marks, sections
from analysis.reproduction import reproduction_table
from analysis.rows import by_reason, contexts, indistinguishable
from analysis.tables import comparison_table, temperature_table, training_table

RESULTS = "results.parquet"
_NAMES = ("estimator", "family", "label")
_TABLES = {
    "compare": comparison_table,
    "diagnose": comparison_table,
    "temperature": temperature_table,
    "train": training_table,
}
# Of all rows at once.
_WHOLE = {"reproduce": reproduction_table, "claims": claims_table}


class Cell(NamedTuple):
    """A cell: its text, the number that it sorts by, and where its name leads."""

    text: str
    numeric: bool
    key: float | None
    link: str | None


def find(folder: str | os.PathLike) -> list[Path]:
    """Return the results folders in a folder, itself included, in the order of their names.

    Raises:
        FileNotFoundError: where there is none.
    """
    found = sorted(path.parent for path in Path(folder).rglob(RESULTS))
    if not found:
        raise FileNotFoundError(f"{folder} holds no {RESULTS}")
    return found


def report(folders: Sequence[str | os.PathLike], title: str = "estimax results") -> str:
    """Return one self-contained HTML page: tables that sort and filter, figures, provenance.

    Args:
        folders: results folders, each with its `results.parquet` and figures as PNG.
        title: of the page.

    Raises:
        FileNotFoundError: where a folder has no results.
        ValueError: where results are damaged or lack what a table of them needs.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    source = (resources.files("analysis") / "report.html.j2").read_text(encoding="utf-8")
    found = [_section(number, Path(folder)) for number, folder in enumerate(folders)]
    return environment.from_string(source).render(title=title, sections=found)


def _section(number: int, folder: Path) -> dict[str, Any]:
    rows = pd.read_parquet(folder / RESULTS)
    configuration = rows.attrs.get("configuration", {})
    study = configuration.get("study", "")
    tables = [_table(f"table-{number}-{i}", table) for i, table in enumerate(_tables(study, rows))]
    named = configuration.get("title") or f"{study} {configuration.get('problem', '')}".strip()
    return {
        "anchor": f"results-{number}",
        "title": named or folder.name,
        "heading": tables[0]["heading"] if tables else folder.name,
        "tables": tables,
        "pictures": [
            {"name": path.stem, "data": base64.b64encode(path.read_bytes()).decode()}
            for path in sorted(folder.glob("*.png"))
        ],
        "provenance": _provenance(rows.attrs.get("provenance", {})),
    }


def _tables(study: str, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    if study in _WHOLE:
        yield _WHOLE[study](rows)
    elif study in _TABLES:
        for _, part in contexts(rows):
            part.attrs = rows.attrs
            yield _TABLES[study](part)


def _table(anchor: str, table: pd.DataFrame) -> dict[str, Any]:
    shown = columns(table)
    measured = "squared_bias" in table
    limits = indistinguishable(table) if measured else [False] * len(table)
    named, marks = note_marks(table)
    lines = []
    for (_, line), limit in zip(table.iterrows(), limits, strict=True):
        cells = [_cell(line, column, limit) for column in shown]
        cells[named] = cells[named]._replace(text=cells[named].text + marks[line["note"]])
        lines.append(cells)
    skipped = [f"Skipped: {', '.join(names)}: {why}." for why, names in by_reason(table).items()]
    return {
        "anchor": anchor,
        "heading": heading(table),
        "columns": [{"title": column.title, "numeric": _is_number(column)} for column in shown],
        "lines": lines,
        "notes": [*footnotes(table), *skipped],
        "sections": sections(table),
    }


def _cell(line: pd.Series, column: Any, limit: bool) -> Cell:
    value = line[column.field]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    key = float(value) if number and pd.notna(value) else None
    link = line.get("paper_link") if column.field in _NAMES else None
    text = cell_text(line, column, formats.bracketed, bool(limit))
    return Cell(text, _is_number(column), key, link if isinstance(link, str) and link else None)


def _is_number(column: Any) -> bool:
    return column.numeric or column.kind == "interval"


def _provenance(about: dict[str, Any]) -> dict[str, str]:
    """Return what ran, with which versions, on which device, as text."""
    found = {}
    for name, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items() if one)
        if value not in ("", None):
            found[name.replace("_", " ")] = str(value)
    return found
