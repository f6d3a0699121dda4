"""Tables in HTML, as a notebook shows them."""

from collections.abc import Iterable
from html import escape

from analysis.columns import BRACKETED, Column
from analysis.readable import ReadableTable


def to_html(table: ReadableTable, conclusion: str = "") -> str:
    """Return a table in HTML, with intervals as `[low, high]`; a notebook styles it.

    Args:
        table: the table.
        conclusion: lines that follow it.
    """
    shown = table.columns
    out = [f"<p><b>{escape(table.heading)}</b></p>", "<table>", "<thead>"]
    out += [_row("th", [column.title for column in shown], shown), "</thead>", "<tbody>"]
    out += [_row("td", texts, shown) for texts in table.grouped_cells(BRACKETED)]
    out += ["</tbody>", "</table>", *_paragraphs(table.footnotes())]
    for title, lines in table.sections.items():
        out += _paragraphs([title + (":" if lines else ".")])
        out += ["<ul>", *(f"<li>{escape(text)}</li>" for text in lines), "</ul>"] * bool(lines)
    skipped = table.reasons.items()
    out += _paragraphs(f"Skipped: {', '.join(names)}: {reason}" for reason, names in skipped)
    sentences = [*table.findings, *conclusion.splitlines()]
    return "\n".join([*out, *_paragraphs(sentences)]) + "\n"


def _row(tag: str, texts: Iterable[str], columns: Iterable[Column]) -> str:
    sides = ("right" if column.kind.is_right else "left" for column in columns)
    cells = (
        f'<{tag} style="text-align: {side}">{escape(text)}</{tag}>'
        for text, side in zip(texts, sides, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _paragraphs(texts: Iterable[str]) -> list[str]:
    return [f"<p>{escape(text)}</p>" for text in texts]
