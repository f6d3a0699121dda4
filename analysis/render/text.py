"""Tables as plain text."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from analysis.columns import BRACKETED, RELATIVE, TIGHT
from analysis.names import wrap
from analysis.readable import ReadableTable
from analysis.render.fitting import Fitted, fitted

_GAP = "  "
_FORMS = BRACKETED, RELATIVE, TIGHT
_TIED = "="


def to_text(table: ReadableTable, width: int = 120) -> str:
    """Return a table for a terminal, no line of which is wider.

    Where the width allows, intervals are printed as `[low, high]`, else by their longer side
    relative to the value, as `±9%`. Columns for which there is no room are left out, the last
    first, and a note names them. A name longer than a third of the width is printed on a line above
    its numbers.

    Args:
        table: the table.
        width: line width in characters, 60 or more.
    """
    # The first line alone needs no mark if the table is sorted.
    is_marked = any(map(any, table.ties(table.columns)[0 if table.is_grouped else 1 :]))
    tied = f"{{}} {_TIED}" if is_marked else "{}"
    forms = [form._replace(tied=tied) for form in _FORMS]
    fit = fitted(table, width, forms, len(_GAP))
    lines = [*_titles(fit), *_lines(table, fit, width)]
    rule = "-" * max(map(len, lines), default=0)
    head = len(_titles(fit))
    out = [*_filled(table.heading, width), "", *lines[:head], rule, *lines[head:], rule]
    for note in _notes(table, fit):
        out += _filled(note, width, rest="  ")
    for title, texts in table.sections.items():
        out += ["", *_filled(title + (":" if texts else "."), width)]
        for text in texts:
            out += _filled(text, width, "  ", "    ")
    if table.reasons:
        out += ["", "Skipped:"]
        for reason, names in table.reasons.items():
            out += _filled(f"{', '.join(names)}: {reason}", width, "  ", "    ")
    out += [""] * bool(table.findings)
    for sentence in table.findings:
        out += _filled(sentence, width)
    return "\n".join(out) + "\n"


def _titles(fit: Fitted) -> list[str]:
    first = fit.columns[0].short
    rows = [[column.short[i] for column in fit.columns] for i in range(2)]
    if any(map(fit.is_long, first)):
        # As the names: on a line of its own.
        own = [part for part in first if part]
        rows = [["", *row[1:]] for row in rows]
        return [*own, *(text for row in rows if (text := _aligned(row, fit)))]
    return [_aligned(row, fit) for row in rows if any(row)]


def _lines(table: ReadableTable, fit: Fitted, width: int) -> Iterator[str]:
    """Yield the lines of the body; the names of groups have lines of their own."""
    groups = [line[0] for line in table.grouped_cells(fit.form)] if table.is_grouped else []
    first = table.columns[0]
    for number, (name, *rest) in enumerate(fit.body):
        if groups and groups[number]:
            yield from _own_lines(groups[number], width, first.kind.style == "name")
        if fit.is_long(name):
            yield from _own_lines(name, width, fit.columns[0].kind.style == "name")
            name = ""
        if rest or name:
            yield _aligned([name, *rest], fit)
        if fit.below:
            yield from _filled(fit.below[number], width, "  ", "    ")


def _own_lines(text: str, width: int, is_name: bool) -> list[str]:
    """Return a text in lines of its own; names are not broken unless they are too long."""
    if len(text) <= width:
        return [text]
    return wrap(text, width) if is_name else _filled(text, width, rest="  ")


def _notes(table: ReadableTable, fit: Fitted) -> list[str]:
    """Return the footnotes of what is shown, and which columns are left out."""
    notes = table.footnotes(fit.columns, _TIED if fit.form.tied != "{}" else "")
    if any(column.kind.style == "interval" for column in fit.columns) and fit.form.legend:
        notes.insert(0, fit.form.legend)
    if fit.left_out:
        notes.insert(0, f"Not shown for lack of width: {', '.join(fit.left_out)}.")
    return notes


def _aligned(cells: Sequence[str], fit: Fitted) -> str:
    return aligned(cells, fit.widths, [column.kind.is_right for column in fit.columns])


def column_widths(lines: Iterable[Sequence[str]]) -> list[int]:
    """Return the width of the widest cell of every column."""
    return [max(map(len, cells)) for cells in zip(*lines, strict=True)]


def aligned(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """Return cells padded to their columns' widths; cells without a width are omitted.

    Args:
        cells: cells of one line.
        widths: widths of the columns.
        right: whether each column is aligned to the right.
    """
    padded = [
        text.rjust(size) if is_right else text.ljust(size)
        for text, size, is_right in zip(cells, widths, right, strict=False)
    ]
    return _GAP.join(padded).rstrip()


def _filled(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return text in lines of at most `width`; words are broken only if they are longer."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
