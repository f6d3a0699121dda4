"""Tables in LaTeX."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis import formats
from analysis.columns import WORD, Column, Form
from analysis.readable import ReadableTable
from analysis.render.fitting import Fitted, fitted

# In digits of 8 pt type: the width of a column and of a page of a two-column article.
# Characters of text are no wider on average, and those of names are as wide.
COLUMN_WIDTH = 54
PAGE_WIDTH = 110
_GAP = 2
_LONGEST_NAME = 0.5
_POWER = 6
"""Width of ×10 to a power of one digit."""

_FORM = Form(
    formats.parenthesised,
    formats.below,
    formats.uncertain_parenthesised,
    formats.parenthesised_duration,
)
_NUMBER = re.compile(r"([-+]?)(\d+)(?:\.(\d+))?(?:\((\d+)\))?(?:e([-+]?)(\d+))?")
_DURATION = re.compile(r"([\d.]+)(?:\((\d+)\))? (s|ms|µs|ns)")
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
    environment, most, fit = _chosen(table, environment)
    columns = fit.columns
    units = [_unit([line[place] for line in fit.body]) for place in range(len(columns))]
    body = [list(map(_in_unit, line, units)) for line in fit.body]
    specs = [
        f"S[table-format={_format([line[place] for line in body])}]" if _is_numeric(one) else "l"
        for place, one in enumerate(columns)
    ]
    notes = [*table.footnotes(columns), *_skipped(table)]
    if any(column.kind.style == "interval" for column in columns):
        notes.insert(
            0,
            "In parentheses: the longer side of the interval, in the last digits. < u: at most u, "
            "not distinguishable from zero.",
        )
    lines = [
        r"% \usepackage{booktabs,siunitx,threeparttable}",
        *([f"% Left out for lack of width: {', '.join(fit.left_out)}."] * bool(fit.left_out)),
        rf"\begin{{{environment}}}[t]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}\sisetup{tight-spacing=true}",
        r"\sisetup{reset-text-series=false,text-series-to-math=true}",
        r"\begin{threeparttable}",
        rf"\caption{{{_text(table.heading)}.}}",
        rf"\label{{{label or _label(table)}}}",
        # As wide as the page, so that there is room for names in the caption and the notes.
        rf"\begin{{tabular*}}{{\linewidth}}{{@{{\extracolsep{{\fill}}}}{''.join(specs)}@{{}}}}",
        r"\toprule",
        *_titles(fit, units, most),
        r"\midrule",
        *_rows(table, fit._replace(body=body), most),
        r"\bottomrule",
        r"\end{tabular*}",
        r"\begin{tablenotes}[flushleft]\footnotesize\raggedright",
        *map(_note, notes),
        r"\end{tablenotes}",
        r"\end{threeparttable}",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines) + "\n"


def _chosen(table: ReadableTable, environment: str | None) -> tuple[str, int, Fitted]:
    """Return the environment, its width in digits, and the table that fits it."""
    for name, width in (("table", COLUMN_WIDTH), ("table*", PAGE_WIDTH)):
        # Less the indent of lines below the names of groups and long names.
        fit = fitted(table, width - _GAP, [_FORM], _GAP, _width, _LONGEST_NAME)
        names = [line[0] for line in fit.body] * (fit.columns[0].kind.style == "name")
        has_room = not fit.left_out and all(len(text) <= width for text in names)
        if environment == name or (environment is None and (has_room or name == "table*")):
            return name, width, fit
    raise ValueError(f"unknown environment {environment!r}; choose from table, table*")


def _rows(table: ReadableTable, fit: Fitted, most: int) -> Iterator[str]:
    """Yield the rows; groups and long names have rows of their own."""
    key, *others = fit.columns
    ties = table.ties(others)
    groups = [line[0] for line in table.grouped_cells(_FORM)] if table.is_grouped else []
    for number, (name, *rest) in enumerate(fit.body):
        if groups and groups[number]:
            yield _own_row(groups[number], table.columns[0], fit, most)
        is_long = fit.is_long(name)
        if is_long:
            yield _own_row(name, key, fit, most)
        first = [r"\quad"] * (is_long or bool(groups)) + [_words(name, key)] * (not is_long)
        cells = [
            r"\bfseries " * tied + (_number(text) if _is_numeric(column) else _words(text, column))
            for text, column, tied in zip(rest, others, ties[number], strict=True)
        ]
        yield " & ".join([" ".join(first), *cells]) + r" \\"
        if fit.below and fit.below[number]:
            yield _own_row(fit.below[number], table.columns[-1], fit, most)


def _titles(fit: Fitted, units: Sequence[str], most: int) -> Iterator[str]:
    """Yield the rows of the titles; that of the names is treated as a name."""
    key = fit.columns[0]
    is_long = fit.is_long(key.short[1])
    if is_long:
        yield _own_row(key.short[1], key._replace(kind=WORD), fit, most)
    for row in range(2):
        texts = [
            _text(column.short[row] + (f" ({unit})" if unit and row else ""))
            for column, unit in zip(fit.columns, units, strict=True)
        ]
        texts[0] = "" if is_long else texts[0]
        if any(texts):
            braced = [
                f"{{{text}}}" if _is_numeric(column) else text
                for text, column in zip(texts, fit.columns, strict=True)
            ]
            yield " & ".join(braced) + r" \\"


def _own_row(text: str, column: Column, fit: Fitted, most: int) -> str:
    """Return a row of one cell, in several lines if it is longer than the page is wide."""
    shown = _words(text, column)
    if len(text) > most:
        shown = rf"\parbox[t]{{\linewidth}}{{\raggedright {shown}}}"
    return rf"\multicolumn{{{len(fit.columns)}}}{{@{{}}l@{{}}}}{{{shown}}} \\"


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
    seconds = sorted(float(number) * _UNITS[unit] for number, _, unit in found)
    median = seconds[len(seconds) // 2]
    return next((unit for unit, size in _UNITS.items() if median >= size), "ns")


def _in_unit(text: str, unit: str) -> str:
    """Return a time as a number in a unit; other text as it is."""
    match = _DURATION.fullmatch(text)
    if not match or not unit:
        return text
    number, last_digits, own = match.groups()
    ratio = _UNITS[own] / _UNITS[unit]
    if not last_digits:
        return formats.plain(float(number) * ratio, digits=3)
    side = int(last_digits) * 10.0 ** -len(number.partition(".")[2])
    ends = (ratio * (float(number) + end) for end in (0.0, -side, side))
    return formats.uncertain_parenthesised(*ends)


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
    shown = _text(text)
    if column.kind.style == "name" and text:
        shown = rf"\texttt{{{_breakable(text)}}}"
    return shown + (rf"\tnote{{{mark}}}" if mark else "")


def _note(text: str) -> str:
    match = re.fullmatch(r"\((\d+)\) (.*)", text, re.DOTALL)
    return rf"\item[{match[1]}] {_text(match[2])}" if match else rf"\item {_text(text)}"


def _skipped(table: ReadableTable) -> list[str]:
    return [f"Skipped: {', '.join(names)} ({why})." for why, names in table.reasons.items()]


def _label(table: ReadableTable) -> str:
    about = table.context.get("study") or table.context.get("table") or "results"
    return "tab:" + re.sub(r"[^\w.-]+", "-", str(about))


def _breakable(text: str) -> str:
    """Return text, escaped, with breaks allowed in words that do not fit a column of a page."""

    def word(match: re.Match[str]) -> str:
        found = escape(match[0])
        if len(match[0]) <= COLUMN_WIDTH - _GAP:
            return found
        return re.sub(r"\{\[\}|[,=]", lambda sign: rf"{sign[0]}\allowbreak{{}}", found)

    return re.sub(r"\S+", word, text)


def _text(text: str) -> str:
    """Return text with its numbers as powers of ten."""
    text = re.sub(r"(-?\b\d+(?:\.\d+)?)e(-?\d+)", r"$\1 \\times 10^{\2}$", _breakable(text))
    return text.replace("µ", r"$\mu$").replace("×", r"$\times$").replace("±", r"$\pm$")
