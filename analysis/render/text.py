"""Tables as plain text."""

import textwrap
from collections.abc import Iterable, Sequence

from analysis import formats
from analysis.readable import ReadableTable

_GAP = "  "
_NARROWEST_NAME = 16
_ROOMY_NAME = 48


def to_text(table: ReadableTable, width: int = 120) -> str:
    """Return a table for a terminal.

    Intervals are printed as `[low, high]` if the terminal is wide enough (about 170 characters),
    else relative to the value, as `±9%`. A long name is printed on a line above its numbers.

    Args:
        table: the table.
        width: line width in characters; the numbers alone need 100 to 120.
    """
    shown = table.columns
    titles = [list(part) for part in zip(*(column.short for column in shown), strict=True)]
    for interval in (formats.bracketed, formats.relative):
        body = table.grouped_cells(interval)
        widths = column_widths([*titles, *body])
        room = width - sum(widths[1:]) - len(_GAP) * (len(shown) - 1)
        if room >= min(widths[0], _ROOMY_NAME):
            break
    # In a narrow table a last column of text is placed below the others.
    below = room < _NARROWEST_NAME and shown[-1].kind.style == "word"
    if below:
        room += len(_GAP) + widths.pop()
    widths[0] = min(widths[0], max(room, _NARROWEST_NAME))
    right = [column.kind.is_right for column in shown]

    def line(values: list[str]) -> list[str]:
        last = values[-1] if below else ""
        return [aligned(values, widths, right), *_indented(last, width)]

    rule = "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    out = [*textwrap.wrap(table.heading, width), ""]
    for title in titles:
        out += line(title)
    out.append(rule)
    for name, *rest in body:
        # A long name is placed above its numbers; estimator names are not broken, so they can be
        # copied.
        if len(name) > widths[0]:
            is_word = shown[0].kind.style == "word"
            out += _indented(name, width, first="") if is_word else [name]
            name = ""
        out += line([name, *rest])
    out.append(rule)
    notes = table.footnotes
    if interval is formats.relative and any(c.kind.style == "interval" for c in shown):
        notes.insert(0, "±9%: the interval relative to the value.")
    for note in notes:
        out += textwrap.wrap(note, width, subsequent_indent="  ")
    for title, lines in table.sections.items():
        out += ["", *textwrap.wrap(title + (":" if lines else "."), width)]
        for text in lines:
            out += _indented(text, width)
    if table.reasons:
        out += ["", "Skipped:"]
        for reason, names in table.reasons.items():
            out += _indented(f"{', '.join(names)}: {reason}", width)
    return "\n".join(out) + "\n"


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


def _indented(text: str, width: int, first: str = "  ") -> list[str]:
    """Wrap text to lines of at most `width`, with a hanging indent."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
