"""Titles and legends of figures."""

import math
import textwrap
from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from analysis.names import wrap
from analysis.page import Page
from analysis.style import GREY, Look

MOST_NAMED = 12
"""The most estimators that a figure names."""

NO_INTERVAL = "no interval (too few events)"

_LONGEST_NAME = 50
_LETTERS = 18  # of a legend, to an inch
_HANDLE = 0.5  # inches before the text of a legend
_MARGIN = 0.04  # inches


def named(errors: pd.DataFrame) -> list[str]:
    """Return the names that a figure shows: those with the least errors.

    Args:
        errors: of each estimator, by its name, the most important in the first column; NaN is the
            largest.
    """
    least = errors.sort_values(list(map(str, errors)), kind="stable", na_position="last")
    return [str(name) for name in least.index[:MOST_NAMED]]


def others_mark(count: int, rule: str, **style) -> list[Line2D]:
    """Return the legend entry of estimators that are not named, if any; `rule` says which are."""
    if not count:
        return []
    others = "1 other" if count == 1 else f"{count} others"
    text = f"grey: {others}, named in the CSV; in colour: {rule}"
    return [mark(text, **{"color": GREY, "linestyle": "-", **style})]


def entry(look: Look, name: str, line: bool = False, note: str = "") -> Line2D:
    """Return the legend entry of an estimator, optionally with its line.

    A note follows the name, on a new line if it does not fit.
    """
    lines = wrap(name, _LONGEST_NAME)
    if note:
        lines[-1] += ": "
        fits = len(lines[-1] + note) <= _LONGEST_NAME
        lines[-1:] = [lines[-1] + note] if fits else [lines[-1], f"  {note}"]
    label = "\n".join(lines).replace("$", r"\$")  # names are not math text
    return mark(label, **look.marks(), linestyle=look.line if line else "none")


def mark(text: str, **style) -> Line2D:
    """Return the legend entry of a kind of mark; text only without a style."""
    return Line2D([], [], label=text, **{"color": "0.4", "linestyle": "none", **style})


def band_mark(text: str = "95 % interval") -> Line2D:
    """Return the legend entry of a band."""
    return mark(text, marker="s", alpha=0.25, markeredgewidth=0, markersize=8)


def bar_mark(text: str = "95 % interval") -> Line2D:
    """Return the legend entry of an error bar."""
    return mark(text, marker="|", markersize=8, markeredgewidth=0.8)


def limit_mark(*, across: bool = False) -> Line2D:
    """Return the legend entry of an arrow downwards, or to the left."""
    text = "upper 95 % limit: bias not distinguishable from zero"
    return mark(text, marker=r"$\leftarrow$" if across else r"$\downarrow$", markersize=6)


def hollow_mark(why: str = NO_INTERVAL) -> Line2D:
    """Return the legend entry of hollow markers, and why they are."""
    return mark(f"hollow: {why}", marker="o", markerfacecolor="white")


def not_drawn(names: Iterable[str]) -> list[Line2D]:
    """Return a legend entry that lists the estimators left out, if any."""
    text = f"not drawn (no finite values): {', '.join(names)}"
    return [mark(text)] if list(names) else []


def framed(
    page: Page, title: str, height: float, names: Sequence[Line2D], marks: Sequence[Line2D] = ()
) -> Figure:
    """Return an empty figure, with its title above and its legends below.

    The figure grows with its legends, so that the panels keep their height.

    Args:
        page: the width, and whether there is a title.
        title: title of the figure; what does not fit on its line is left out, from the last comma.
        height: height of the panels with their labels, in inches.
        names: legend entries of the estimators.
        marks: legend entries that explain kinds of marks.
    """
    figure = Figure(figsize=(page.width, height))
    renderer = FigureCanvasAgg(figure).get_renderer()
    above = _MARGIN
    text = _titled(figure, title, renderer) if page.titles and title else None
    if text:
        above += text.get_window_extent(renderer).height / figure.dpi + _MARGIN
    # From the bottom up, since two legends with loc="outside ..." would overlap.
    below, legends = _MARGIN, []
    for entries in (marks, names):
        if entries:
            legend, size = _widest_fit(figure, entries, renderer)
            legends.append((legend, below))
            below += size
    whole = height + above + below
    figure.set_size_inches(page.width, whole)
    if text:
        text.set_y(1 - _MARGIN / whole)
    for legend, bottom in legends:
        legend.set_bbox_to_anchor((0.5, bottom / whole), transform=figure.transFigure)
    rect = (0, below / whole, 1, 1 - (above + below) / whole)
    figure.set_layout_engine("constrained", rect=rect)
    return figure


def _titled(figure: Figure, title: str, renderer) -> Text:
    """Return the figure's title, of as many parts between commas as fit on one line."""
    text = figure.suptitle(title, va="top")
    text.set_in_layout(False)
    room = figure.bbox.width - 2 * _MARGIN * figure.dpi
    parts = title.split(", ")  # names have no spaces after their commas, nor have numbers
    shorter = [", ".join(parts[:count]) for count in range(len(parts), 0, -1)]
    shorter += [f"{parts[0][:length]}…" for length in range(len(parts[0]), 0, -1)]
    for part in shorter:
        text.set_text(part)
        if text.get_window_extent(renderer).width <= room:
            break
    return text


def _widest_fit(figure: Figure, entries: Sequence[Line2D], renderer) -> tuple[Legend, float]:
    """Add the legend with the most columns that fit; return it and its height in inches."""
    longest = int(_LETTERS * (figure.get_figwidth() - _HANDLE))
    for entry in entries:
        lines = str(entry.get_label()).split("\n")
        entry.set_label("\n".join(textwrap.fill(line, max(longest, 10)) for line in lines))
    for columns in (4, 3, 2, 1):
        lines = math.ceil(len(entries) / columns)
        legend = figure.legend(
            handles=list(entries),
            loc="lower center",
            ncols=math.ceil(len(entries) / lines),  # only the last column may have gaps
            borderaxespad=0,
        )
        legend.set_in_layout(False)
        box = legend.get_window_extent(renderer)
        if box.width <= figure.bbox.width or columns == 1:
            return legend, box.height / figure.dpi
        legend.remove()
    raise AssertionError
