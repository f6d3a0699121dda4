"""Tables as plain text, Markdown, CSV and files; LaTeX is in `analysis.latex`."""

import os
import re
import textwrap
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pandas as pd

from analysis import formats
from analysis.column import Column
from analysis.columns import cells, columns, footnotes, heading, sections, skipped
from analysis.files import write_text
from analysis.latex import to_latex
from analysis.text import printable

_GAP = "  "
_NARROWEST_NAME = 16
_ROOMY_NAME = 48
_RUNS = ("seeds", "diverged", "diverged_first", "diverged_last")


def to_text(table: pd.DataFrame, width: int = 120) -> str:
    """Return a table for a terminal.

    Intervals are printed as `[low, high]` if the terminal is wide enough (about 170 characters),
    else relative to the value, as `±9%`. A long name is printed on a line above its numbers.

    Args:
        table: from `comparison_table`, `temperature_table` or `training_table`.
        width: of a line, in characters; the numbers alone need 100 to 120.
    """
    shown = columns(table)
    titles = [list(part) for part in zip(*(column.short for column in shown), strict=True)]
    for interval in (formats.bracketed, formats.relative):
        body = cells(table, interval)
        widths = [max(map(len, values)) for values in zip(*titles, *body, strict=True)]
        room = width - sum(widths[1:]) - len(_GAP) * (len(shown) - 1)
        if room >= min(widths[0], _ROOMY_NAME):
            break
    # In a narrow table the last column goes below the others if it is text.
    below = room < _NARROWEST_NAME and shown[-1].kind == "word"
    if below:
        room += len(_GAP) + widths.pop()
    widths[0] = min(widths[0], max(room, _NARROWEST_NAME))

    def line(values: list[str]) -> list[str]:
        aligned = [
            value.rjust(size) if column.numeric else value.ljust(size)
            for value, size, column in zip(values, widths, shown, strict=False)
        ]
        last = values[-1] if below else ""
        return [_GAP.join(aligned).rstrip(), *_indented(last, width)]

    rule = "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    out = [*textwrap.wrap(heading(table), width), "", *chain(*map(line, titles)), rule]
    for name, *rest in body:
        # A long name stands above its numbers; an estimator's is not broken, so that it can be
        # copied.
        if len(name) > widths[0]:
            out += _indented(name, width, first="") if shown[0].kind == "word" else [name]
            name = ""
        out += line([name, *rest])
    out.append(rule)
    notes = footnotes(table)
    if interval is formats.relative and any(column.kind == "interval" for column in shown):
        notes.insert(0, "±9%: the interval relative to the value.")
    for note in notes:
        out += textwrap.wrap(note, width, subsequent_indent="  ")
    for title, lines in sections(table).items():
        title += ":" if lines else "."
        out += ["", *textwrap.wrap(title, width)]
        for text in lines:
            out += _indented(text, width)
    if skips := skipped(table):
        out += ["", "Skipped:"]
        for reason, names in skips.items():
            out += _indented(f"{', '.join(names)}: {reason}", width)
    return "\n".join(out) + "\n"


def _indented(text: str, width: int, first: str = "  ") -> list[str]:
    """Return text in lines of at most `width`; all but the first are indented further."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def to_markdown(table: pd.DataFrame) -> str:
    """Return a table in Markdown, with intervals as `[low, high]`.

    Args:
        table: from `comparison_table`, `temperature_table` or `training_table`.
    """

    def line(values: Iterable[str]) -> str:
        return "| " + " | ".join(values) + " |"

    shown = columns(table)
    out = [f"**{_plain(heading(table))}**", ""]
    out.append(line(column.title for column in shown))
    out.append(line("---:" if column.numeric else "---" for column in shown))
    for texts in cells(table, formats.bracketed):
        out.append(line(map(_cell, texts, shown)))
    out += ["", *(f"{_plain(note)}  " for note in footnotes(table))]
    for title, lines in sections(table).items():
        title += ":" if lines else "."
        out += ["", _plain(title), "", *(f"- {_plain(' '.join(text.split()))}" for text in lines)]
    if skips := skipped(table):
        out += ["", "Skipped:", ""]
        for reason, names in skips.items():
            out.append(f"- {', '.join(map(_code, names))}: {_plain(reason)}")
    return "\n".join(out) + "\n"


def _cell(text: str, column: Column) -> str:
    if column.kind == "name":
        return _code(text).replace("|", r"\|")  # else it would end the cell
    return _plain(text) if column.kind == "word" else text  # the others are numbers


def _plain(text: str) -> str:
    """Return text escaped for Markdown and the HTML in it."""
    return re.sub(r"[\\`*_~$<&\[\]|]", r"\\\g<0>", text)


def _code(text: str) -> str:
    """Return text as inline code, also if it contains backticks."""
    if not text:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def save_table(
    table: pd.DataFrame, stem: str | os.PathLike, label: str | None = None
) -> list[Path]:
    """Save a table as `<stem>.txt`, `.md`, `.csv` and `.tex`, each atomically.

    Args:
        table: from `comparison_table`, `temperature_table` or `training_table`.
        stem: path without a suffix; missing folders are created.
        label: of the LaTeX table.
    """
    texts = {
        "txt": to_text(table),
        "md": to_markdown(table),
        "csv": to_csv(table),
        "tex": to_latex(table, label=label),
    }
    return [write_text(f"{stem}.{ending}", text) for ending, text in texts.items()]


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in full precision, with the skipped estimators and their reasons.

    Text is not escaped, even if a spreadsheet would read it as a formula.

    Args:
        table: from `comparison_table`, `temperature_table` or `training_table`.
    """
    skips = pd.DataFrame(
        [
            {"estimator": name, "note": f"skipped: {why}"}
            for name, why in table.attrs["skipped"].items()
        ],
        columns=["estimator", "note"],
    )
    full = pd.concat([table.reset_index(drop=True), skips], ignore_index=True)[table.columns]
    for position, (name, value) in enumerate(table.attrs["context"].items()):
        full.insert(position, name, value)
    for name in ("truth_norm", "budget"):
        if name in table.attrs:
            full[name] = table.attrs[name]
    for split, count in table.attrs.get("bound_samples", {}).items():
        full[f"{split}_bound_samples"] = count
    full = full.map(lambda value: printable(value) if isinstance(value, str) else value)
    for whole in full.columns.intersection(["evaluations", "samples", "tried", *_RUNS]):
        full[whole] = full[whole].astype("Int64")
    return full.to_csv(index=False, lineterminator="\n")
