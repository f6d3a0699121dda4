"""The layout of figures."""

from typing import NamedTuple

WIDTHS = {"column": 3.25, "text": 5.5}
"""Widths of figures in inches: of one column of two, and of the text of NeurIPS."""

FORMATS = ("pdf", "png", "svg")
"""The formats of figures."""

DEFAULT_FORMATS = ("pdf", "png")

_PANEL = 1.75  # inches, the narrowest


class Page(NamedTuple):
    """How a figure is laid out.

    Attributes:
        width: its width in inches.
        titles: whether it has a title.
    """

    width: float = WIDTHS["text"]
    titles: bool = True

    def columns(self, panels: int) -> int:
        """Return how many of the panels stand beside each other, in rows of equal length."""
        fit = range(1, max(1, int(self.width / _PANEL)) + 1)
        return max(count for count in fit if panels % count == 0)


PAGE = Page()
