"""Tables in LaTeX."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from analysis import formats
from analysis.columns import WORD, Column, Form
from analysis.readable import ReadableTable
from analysis.render.fitting import fitted

# In digits of 8 pt type: the width of a column and of a page of a two-column article.
# Characters of text are no wider on average, and those of names are as wide.
COLUMN_WIDTH = 54
PAGE_WIDTH = 110
_DIGIT = 4.25
_GAP = 2
_LONGEST_NAME = 0.5
_POWER = 6
"""Width of ×10 to a power of one digit."""

_FORM = Form(formats.parenthesised, formats.below, formats.uncertain_parenthesised)
_NUMBER = re.compile(r"([-+]?)(\d+)(?:\.(\d+))?(?:\((\d+)\))?(?:e([-+]?)(\d+))?")
_DURATION = re.compile(r"([\d.]+) (s|ms|µs|ns)")
_UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
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
    """Return text escaped for LaTeX; two hyphens stay two hyphens."""
    return re.sub("-(?=-)", "-{}", text.translate(_ESCAPES))


def to_latex(table: ReadableTable, label: str | None = None, environment: str | None = None) -> str:
    r"""Return a table in LaTeX, a line for each line of the table, notes below it.

    Numbers are in siunitx's columns, with the longer side of their interval in parentheses. It
    needs the packages booktabs, siunitx and threeparttable.

    Args:
        table: the table; columns for which a page has no room are left out, the last first.
        label: for `\ref`; by default from the study.
        environment: `table`, or `table*` across both columns of a page; by default the first in
            which all columns fit, in 8 pt type.
    """
    fits = [
        # Less the indent of lines below the names of groups and long names.
        fitted(table, width - _GAP, [_FORM], _GAP, _width, _LONGEST_NAME)
        for width in (COLUMN_WIDTH, PAGE_WIDTH)
    ]
    names = (
        [line[0] for line in fits[0].body] if table.columns[table.key].kind.style == "name" else []
    )
    no_room = bool(fits[0].left_out) or any(len(name) > COLUMN_WIDTH for name in names)
    is_wide = no_room if environment is None else environment == "table*"
    fit = fits[is_wide]
    environment = environment or ("table*" if is_wide else "table")
    columns = fit.columns
    numeric = [_is_numeric(column) for column in columns]
    cells = [[line[place] for line in fit.body] for place in range(len(columns))]
    units = [_unit(texts) for texts in cells]
    specs = []
    for texts, is_number, unit in zip(cells, numeric, units, strict=True):
        texts = [_in_unit(text, unit) for text in texts]
        specs.append(f"S[table-format={_format(texts)}]" if is_number else "l")
    width = len(columns)
    no_title = fit.is_long(columns[0].short[1])

    def own_line(text: str, column: Column) -> str:
        shown = _words(text, column)
        most = PAGE_WIDTH if is_wide else COLUMN_WIDTH
        if len(text) > most:  # it is broken into lines
            shown = rf"\parbox[t]{{{most * _DIGIT:.0f}pt}}{{\raggedright {shown}}}"
        return rf"\multicolumn{{{width}}}{{@{{}}l@{{}}}}{{{shown}}} \\"

    body = []
    groups = [line[0] for line in table.grouped_cells(_FORM)] if table.is_grouped else []
    for number, (name, *rest) in enumerate(fit.body):
        if groups and groups[number]:
            body.append(own_line(groups[number], table.columns[0]))
        is_long = fit.is_long(name)
        if is_long:
            body.append(own_line(name, columns[0]))
        first = r"\quad" if is_long or groups else ""
        first += "" if is_long else f"{' ' * bool(groups)}{_words(name, columns[0])}"
        others = [
            _number(_in_unit(text, unit)) if is_number else _words(text, column)
            for text, column, is_number, unit in zip(
                rest, columns[1:], numeric[1:], units[1:], strict=True
            )
        ]
        body.append(" & ".join([first, *others]) + r" \\")
        if fit.below and fit.below[number]:
            body.append(own_line(fit.below[number], table.columns[-1]))
    notes = [*table.footnotes(columns), *_skipped(table)]
    if any(column.kind.style == "interval" for column in columns):
        notes.insert(0, "In parentheses: the longer side of the interval, in the last digits.")
    lines = [
        r"% \usepackage{booktabs,siunitx,threeparttable}",
        *([f"% Left out for lack of width: {', '.join(fit.left_out)}."] * bool(fit.left_out)),
        rf"\begin{{{environment}}}[t]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}\sisetup{tight-spacing=true}",
        r"\begin{threeparttable}",
        rf"\caption{{{_text(table.heading)}.}}",
        rf"\label{{{label or _label(table)}}}",
        rf"\begin{{tabular}}{{@{{}}{''.join(specs)}@{{}}}}",
        r"\toprule",
        *([own_line(columns[0].short[1], columns[0]._replace(kind=WORD))] * no_title),
        *_titles(columns, numeric, units, no_title),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\begin{tablenotes}[flushleft]\footnotesize",
        *map(_note, notes),
        r"\end{tablenotes}",
        r"\end{threeparttable}",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines) + "\n"


def _is_numeric(column: Column) -> bool:
    return column.kind.style in ("number", "interval")


def _width(texts: Sequence[str], column: Column) -> int:
    """Return the width of a column with these cells, in digits."""
    if not _is_numeric(column):
        return max(map(len, texts), default=0)
    texts = [_in_unit(text, _unit(texts)) for text in texts]
    sign, whole, decimals, uncertainty, power = _parts(texts)
    size = len(sign) + whole + decimals + bool(decimals) / 2
    size += bool(uncertainty) * (uncertainty + 1.5) + bool(power) * (_POWER + power - 1)
    limits = [len(text) + _POWER - 2 for text in texts if text.startswith("<")]
    return math.ceil(max([size, *limits]))


class _Parts(NamedTuple):
    """The sign, and the most digits before and after the point, of uncertainty and power."""

    sign: str
    whole: int
    decimals: int
    uncertainty: int
    power: int


def _parts(texts: Sequence[str]) -> _Parts:
    """Return what the numbers of a column need."""
    found = [match.groups(default="") for text in texts if (match := _NUMBER.fullmatch(text))]

    def most(group: int) -> int:
        return max((len(groups[group]) for groups in found), default=0)

    sign = max((groups[0] for groups in found), key=len, default="")
    return _Parts(sign, max(most(1), 1), most(2), most(3), most(5))


def _format(texts: Sequence[str]) -> str:
    """Return siunitx's `table-format` of the numbers of a column: `1.2(2)e-1`."""
    sign, whole, decimals, uncertainty, power = _parts(texts)
    text = f"{sign}{whole}"
    text += f".{decimals}" if decimals else ""
    text += f"({uncertainty})" if uncertainty else ""
    return text + (f"e-{power}" if power else "")


def _unit(texts: Sequence[str]) -> str:
    """Return the unit of time in which the median of a column has digits before the point."""
    found = [match.groups() for text in texts if (match := _DURATION.fullmatch(text))]
    if not found:
        return ""
    seconds = sorted(float(number) * _UNITS[unit] for number, unit in found)
    median = seconds[len(seconds) // 2]
    return next((unit for unit, size in _UNITS.items() if median >= size), "ns")


def _in_unit(text: str, unit: str) -> str:
    """Return a time as a number in a unit; other text as it is."""
    match = _DURATION.fullmatch(text)
    if not match or not unit:
        return text
    return formats.plain(float(match[1]) * _UNITS[match[2]] / _UNITS[unit], digits=3)


def _titles(
    columns: Sequence[Column], numeric: Sequence[bool], units: Sequence[str], no_first: bool
) -> list[str]:
    lines = []
    for row in range(2):
        texts = []
        for column, is_number, unit in zip(columns, numeric, units, strict=True):
            text = _text(column.short[row] + (f" ({unit})" if unit and row else ""))
            texts.append(f"{{{text}}}" if is_number else text)
        texts[0] = "" if no_first else texts[0]
        if any(text.strip("{}") for text in texts):
            lines.append(" & ".join(texts) + r" \\")
    return lines


def _number(text: str) -> str:
    """Return the content of a cell of a column of numbers; other text is braced."""
    if _NUMBER.fullmatch(text):
        return text
    if text.startswith("<"):
        return rf"{{\num{{{text}}}}}"
    special = {"-": r"\textendash", "inf": r"$\infty$", "-inf": r"$-\infty$"}
    return f"{{{special.get(text) or _text(text)}}}"


def _words(text: str, column: Column) -> str:
    """Return a cell of text; the number of a note becomes a mark."""
    marked = re.fullmatch(r"(.*) \((\d+)\)", text, re.DOTALL)
    text, mark = marked.groups() if marked else (text, "")
    if column.kind.style == "name" and text:
        name = escape(text)
        if len(text) > PAGE_WIDTH:  # it is broken where it may be
            name = re.sub(r"\{\[\}|,", lambda found: rf"{found[0]}\allowbreak{{}}", name)
        shown = rf"\texttt{{{name}}}"
    else:
        shown = _text(text)
    return shown + (rf"\tnote{{{mark}}}" if mark else "")


def _note(text: str) -> str:
    match = re.fullmatch(r"\((\d+)\) (.*)", text, re.DOTALL)
    return rf"\item[{match[1]}] {_text(match[2])}" if match else rf"\item {_text(text)}"


def _skipped(table: ReadableTable) -> list[str]:
    return [f"Skipped: {', '.join(names)} ({why})." for why, names in table.reasons.items()]


def _label(table: ReadableTable) -> str:
    about = table.context.get("study") or table.context.get("table") or "results"
    return "tab:" + re.sub(r"[^\w.-]+", "-", str(about))


def _text(text: str) -> str:
    """Return text with its numbers as powers of ten."""
    text = re.sub(r"(-?\b\d+(?:\.\d+)?)e(-?\d+)", r"$\1 \\times 10^{\2}$", escape(text))
    return text.replace("µ", r"$\mu$").replace("×", r"$\times$").replace("±", r"$\pm$")
