"""Rendering of readable tables, one module per format."""

import os
from pathlib import Path

from analysis.files import write_text
from analysis.readable import ReadableTable
from analysis.render.csv import to_csv
from analysis.render.html import to_html as to_html
from analysis.render.latex import to_latex
from analysis.render.markdown import to_markdown
from analysis.render.text import to_text


def save_table(
    table: ReadableTable, stem: str | os.PathLike, label: str | None = None
) -> list[Path]:
    """Save a table as `<stem>.txt`, `.md`, `.csv` and `.tex`, each atomically.

    Args:
        table: the table.
        stem: path without a suffix; missing folders are created.
        label: label of the LaTeX table.
    """
    texts = {
        "txt": to_text(table),
        "md": to_markdown(table),
        "csv": to_csv(table),
        "tex": to_latex(table, label=label),
    }
    return [write_text(f"{stem}.{ending}", text) for ending, text in texts.items()]
