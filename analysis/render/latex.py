"""Tables in LaTeX."""

import math
import re

import pandas as pd

from analysis import formats
from analysis.columns import Column
from analysis.names import wrap
from analysis.readable import ReadableTable

_NAME_WIDTH = 30
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\textasciigrave{}",
        # Braced, since LaTeX would read a bare bracket after a line break as an optional length.
        "[": "{[}",
        "]": "{]}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


def escape(text: str) -> str:
    """Return text escaped for LaTeX."""
    # pandas' Styler escapes cells, but not captions or brackets.
    return text.translate(_ESCAPES)


def to_latex(table: ReadableTable, label: str | None = None, environment: str = "table") -> str:
    r"""Return a table in LaTeX, shrunk to the line width if it is wider.

    It needs the packages booktabs and graphicx.

    Args:
        table: the table.
        label: for `\ref`.
        environment: `table*` spans both columns of a page.
    """
    shown = table.columns
    body = [
        [_cell(text, column) for text, column in zip(line, shown, strict=True)]
        for line in table.grouped_cells(_interval)
    ]
    sides = ["r" if column.kind.is_right else "l" for column in shown]
    titles = [
        _stack([escape(part) for part in column.short if part], side)
        for column, side in zip(shown, sides, strict=True)
    ]
    styler = pd.DataFrame(body, columns=titles).style.hide(axis="index")
    notes = [table.heading + ".", *table.footnotes]
    notes += [f"Skipped: {', '.join(names)} ({why})." for why, names in table.reasons.items()]
    text = styler.to_latex(
        hrules=True,
        column_format="".join(sides),
        position="t",
        position_float="centering",
        caption=_numbers(escape(" ".join(notes))),
        label=label,
        environment=environment,
    )
    # Styler cannot scale its tabular; the inner tabulars are cells of two lines.
    before, begin, rest = text.partition("\\begin{tabular}{")
    inside, end, after = rest.rpartition("\\end{tabular}")
    shrink = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    return (
        "% \\usepackage{booktabs,graphicx}\n"
        f"{before}\\footnotesize\n{shrink}\n{begin}{inside}{end}}}{after}"
    )


def _interval(value: float, low: float, high: float) -> str:
    """Write an interval with its value's exponent, to save space."""
    text = formats.scientific(value)
    if "e" not in text or not low < high or math.isinf(high):
        return text
    power = text.partition("e")[2]
    bounds = [f"{bound / 10.0 ** int(power):#.3g}".rstrip(".") for bound in (low, high)]
    return f"{text} [{', '.join(bounds)}]e{power}"


def _cell(text: str, column: Column) -> str:
    if column.kind.style == "name":
        return _stack([rf"\texttt{{{escape(part)}}}" for part in wrap(text, _NAME_WIDTH)], "l")
    value, bracket, rest = text.partition(" [")
    lines = [_numbers(escape(value))]
    if bracket:
        lines.append(rf"\scriptsize {_numbers(escape('[' + rest))}")
    return _stack(lines, "l")


def _stack(lines: list[str], side: str) -> str:
    """Typeset several lines in one cell, aligned at the first, with space below."""
    if len(lines) == 1:
        return lines[0]
    inside = r" \\ ".join(lines) + r"\rule[-1ex]{0pt}{0pt}"
    return rf"\begin{{tabular}}[t]{{@{{}}{side}@{{}}}}{inside}\end{{tabular}}"


def _numbers(text: str) -> str:
    """Typeset the numbers and intervals of a text as powers of ten."""
    bracket = re.escape(escape("[")), re.escape(escape("]"))
    text = re.sub(rf"({bracket[0]}[^\]]*{bracket[1]})e0\b", r"\1", text)
    text = re.sub(rf"({bracket[0]}[^\]]*{bracket[1]})e(-?\d+)", r"\1 $\\times 10^{\2}$", text)
    text = re.sub(r"(-?\b\d+(?:\.\d+)?)e0\b", r"$\1$", text)
    text = re.sub(r"(-?\b\d+(?:\.\d+)?)e(-?\d+)", r"$\1 \\times 10^{\2}$", text)
    return text.replace("µ", r"$\mu$").replace("×", r"$\times$").replace("±", r"$\pm$")
