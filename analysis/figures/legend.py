"""Titles and legends of figures."""

import math
import textwrap
from collections.abc import Iterable, Sequence

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from analysis.names import wrap
from analysis.style import Look, width

_LONGEST_NAME = 50
_LONGEST_TITLE = 120
_LONGEST_ENTRY = 100
_MARGIN = 0.04  # inches


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


def limit_mark() -> Line2D:
    """Return the legend entry of an arrow."""
    text = "upper 95 % limit: bias not distinguishable from zero"
    return mark(text, marker=r"$\downarrow$", markersize=6)


def hollow_mark() -> Line2D:
    """Return the legend entry of hollow markers: estimates without an interval."""
    return mark("hollow: no interval (too few events)", marker="o", markerfacecolor="white")


def not_drawn(names: Iterable[str]) -> list[Line2D]:
    """Return a legend entry that lists the estimators left out, if any."""
    text = f"not drawn (no finite values): {', '.join(names)}"
    return [mark(textwrap.fill(text, _LONGEST_ENTRY))] if list(names) else []


def framed(title: str, height: float, names: Sequence, marks: Sequence = ()) -> Figure:
    """Return an empty figure of page width, with its title above and its legends below.

    The figure grows with its legends, so that the panels keep their height.

    Args:
        title: title of the figure.
        height: height of the panels with their labels, in inches.
        names: legend entries of the estimators.
        marks: legend entries that explain kinds of marks.
    """
    figure = Figure(figsize=(width(), height))
    renderer = FigureCanvasAgg(figure).get_renderer()
    text = figure.suptitle(_balanced(title), va="top")
    text.set_in_layout(False)
    above = text.get_window_extent(renderer).height / figure.dpi + 2 * _MARGIN
    # From the bottom up, since two legends with loc="outside ..." would overlap.
    below, legends = _MARGIN, []
    for entries in (marks, names):
        if entries:
            legend, size = _widest_fit(figure, entries, renderer)
            legends.append((legend, below))
            below += size
    whole = height + above + below
    figure.set_size_inches(width(), whole)
    text.set_y(1 - _MARGIN / whole)
    for legend, bottom in legends:
        legend.set_bbox_to_anchor((0.5, bottom / whole), transform=figure.transFigure)
    rect = (0, below / whole, 1, 1 - (above + below) / whole)
    figure.set_layout_engine("constrained", rect=rect)
    return figure


def _balanced(title: str) -> str:
    """Break a title into as few lines as possible, of about equal length."""
    count = len(textwrap.wrap(title, _LONGEST_TITLE))
    fewest = range(len(title) // max(count, 1), _LONGEST_TITLE + 1)
    fits = (lines for n in fewest if len(lines := textwrap.wrap(title, max(n, 1))) <= count)
    return "\n".join(next(fits))


def _widest_fit(figure: Figure, entries: Sequence[Artist], renderer) -> tuple[Legend, float]:
    """Add the legend with the most columns that fit; return it and its height in inches."""
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
        if box.width <= width() * figure.dpi or columns == 1:
            return legend, box.height / figure.dpi
        legend.remove()
    raise AssertionError
