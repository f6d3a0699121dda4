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
        """Return how many of the panels fit beside each other."""
        return max(1, min(panels, int(self.width / _PANEL)))


PAGE = Page()
