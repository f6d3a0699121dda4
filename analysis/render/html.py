"""Tables in HTML, as a notebook shows them."""

from collections.abc import Iterable, Sequence
from html import escape

from analysis.columns import BRACKETED, Column
from analysis.readable import ReadableTable
from analysis.text import unaligned


def to_html(table: ReadableTable, conclusion: str = "") -> str:
    """Return a table in HTML, with intervals as `[low, high]`; a notebook styles it.

    Args:
        table: the table.
        conclusion: lines that follow it.
    """
    shown = table.columns
    out = [f"<p><b>{escape(table.heading)}</b></p>", "<table>", "<thead>"]
    out += [_row("th", [column.title for column in shown], shown), "</thead>", "<tbody>"]
    body = zip(table.grouped_cells(BRACKETED), table.ties(shown), strict=True)
    out += [_row("td", texts, shown, ties) for texts, ties in body]
    out += ["</tbody>", "</table>", *_paragraphs(table.footnotes_of(BRACKETED))]
    for title, lines in table.sections.items():
        out += _paragraphs([title + (":" if lines else ".")])
        items = (f"<li>{escape(unaligned(text))}</li>" for text in lines)
        out += ["<ul>", *items, "</ul>"] * bool(lines)
    skipped = table.reasons.items()
    out += _paragraphs(f"Skipped: {', '.join(names)}: {reason}" for reason, names in skipped)
    sentences = [*table.findings, *conclusion.splitlines()]
    return "\n".join([*out, *_paragraphs(sentences)]) + "\n"


def _row(
    tag: str, texts: Iterable[str], columns: Sequence[Column], bold: Sequence[bool] = ()
) -> str:
    sides = ("right" if column.kind.is_right else "left" for column in columns)
    shown = (
        f"<b>{escape(text)}</b>" if is_bold else escape(text)
        for text, is_bold in zip(texts, bold or [False] * len(columns), strict=True)
    )
    cells = (
        f'<{tag} style="text-align: {side}">{text}</{tag}>'
        for text, side in zip(shown, sides, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _paragraphs(texts: Iterable[str]) -> list[str]:
    return [f"<p>{escape(text)}</p>" for text in texts]
