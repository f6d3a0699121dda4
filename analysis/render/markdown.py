"""Tables in Markdown."""

import re
from collections.abc import Iterable

from analysis.columns import BRACKETED, Column
from analysis.readable import ReadableTable
from analysis.text import unaligned


def to_markdown(table: ReadableTable) -> str:
    """Return a table in Markdown, with intervals as `[low, high]`."""

    def line(values: Iterable[str]) -> str:
        return "| " + " | ".join(values) + " |"

    shown = table.columns
    out = [f"**{_plain(table.heading)}**", ""]
    out.append(line(column.title for column in shown))
    out.append(line("---:" if column.kind.is_right else "---" for column in shown))
    for texts, ties in zip(table.grouped_cells(BRACKETED), table.ties(shown), strict=True):
        cells = map(_cell, texts, shown)
        out.append(
            line(f"**{cell}**" if tied else cell for cell, tied in zip(cells, ties, strict=True))
        )
    out += ["", *(f"{_plain(note)}  " for note in table.footnotes_of(BRACKETED))]
    for title, lines in table.sections.items():
        title += ":" if lines else "."
        out += ["", _plain(title), "", *(f"- {_plain(unaligned(text))}" for text in lines)]
    if table.reasons:
        out += ["", "Skipped:", ""]
        for reason, names in table.reasons.items():
            out.append(f"- {', '.join(map(_code, names))}: {_plain(reason)}")
    for sentence in table.findings:
        out += ["", _plain(sentence)]
    return "\n".join(out) + "\n"


def _cell(text: str, column: Column) -> str:
    if column.kind.style == "name":
        return _code(text).replace("|", r"\|")  # it would end the cell
    return _plain(text) if column.kind.style == "word" else text  # the others are numbers


def _plain(text: str) -> str:
    """Return text escaped for Markdown and the HTML in it."""
    return re.sub(r"[\\`*_~$<&\[\]|]", r"\\\g<0>", text)


def _code(text: str) -> str:
    """Return text as inline code, even if it contains backticks."""
    if not text:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"
