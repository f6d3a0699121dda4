"""Choice of the columns, and of the form of their numbers, that fit a width."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from analysis.columns import Column, Form
from analysis.readable import ReadableTable

Measure = Callable[[Sequence[str], Column], int]


class Fitted(NamedTuple):
    """A table that fits a width.

    Attributes:
        columns: the columns that are shown, from the one that names a line on.
        body: the cells of these columns, line by line.
        widths: the widths of these columns.
        form: the form of the numbers.
        below: the cells of a last column of words that is placed below each line, if it is.
        left_out: the titles of the columns that are left out.
    """

    columns: Sequence[Column]
    body: list[list[str]]
    widths: list[int]
    form: Form
    below: list[str]
    left_out: list[str]

    def is_long(self, name: str) -> bool:
        """Return whether a name needs a line of its own."""
        return len(name) > self.widths[0]


def fitted(
    table: ReadableTable,
    width: int,
    forms: Sequence[Form],
    gap: int,
    measure: Measure = lambda texts, column: max(map(len, texts), default=0),
    longest_name: float = 1 / 3,
) -> Fitted:
    """Return as many columns as fit, the first ones, in the first of the forms that has room.

    Longer names have lines of their own, and need no room. A last column of words is placed below
    each line before any column is left out.

    Args:
        table: the table.
        width: the width of a line, in characters.
        forms: forms of numbers, the widest first.
        gap: characters between two columns.
        measure: returns the width of a column with these cells, or of one cell.
        longest_name: the part of the width that a name in the line of its numbers may take.
    """
    columns = table.columns[table.key :]
    bodies = [[line[table.key :] for line in table.cells(form)] for form in forms]
    is_text = len(columns) > 1 and columns[-1].kind.style == "word"

    def layout(count: int, form: int, is_below: bool) -> Fitted:
        shown, body = columns[:count], [line[:count] for line in bodies[form]]
        widths = []
        for place, column in enumerate(shown):
            texts = [line[place] for line in body]
            if place == 0:
                most = width * longest_name
                sizes = [measure([text], column) for text in texts]
                names = [size for size in sizes if size <= most]
                titles = [size for part in column.short if (size := len(part)) <= most]
                # Without a name in its column, the title needs none either.
                widths.append(max([*names, *titles]) if names else 0)
            else:
                titles = max(map(len, column.short))
                widths.append(max(titles, measure(texts, column)))
        below = [line[-1] for line in bodies[form]] if is_below else []
        left_out = [column.title for column in columns[count : len(columns) - is_below]]
        return Fitted(shown, body, widths, forms[form], below, left_out)

    for is_below in (False, True) if is_text else (False,):
        # A column is only left out once the last one, of words, is below.
        fewest = len(columns) if is_text and not is_below else 1
        for count in range(len(columns) - is_below, fewest - 1, -1):
            for form in range(len(forms)):
                found = layout(count, form, is_below)
                if sum(found.widths) + gap * (count - 1) <= width:
                    return found
    return layout(1, len(forms) - 1, is_text)
