"""Names at points, placed so that they cover neither each other nor a point."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from analysis.names import wrap

_LETTERS = (60, 24, 16)  # to a line, tried in turn
_DISTANCES = (3.0, 6.0, 11.0, 17.0, 24.0, 32.0, 42.0)  # points
_ANGLES = (0, 180, 90, 270, 45, 315, 135, 225)  # degrees
_LEADER = 8.0  # points; names further away have a line to their point
_MARKER = 3.5  # points, half of its size
_SIZE = 7.0


Spot = tuple[float, float]
"""A place in data coordinates."""


class Point(NamedTuple):
    """A point with a name.

    Attributes:
        name: its name.
        at: its place.
        bars: the ends of its error bars.
    """

    name: str
    at: Spot
    bars: Sequence[tuple[Spot, Spot]] = ()


def place(ax: Axes, points: Sequence[Point], colours: Mapping[str, str]) -> list[str]:
    """Write names beside their points, once the figure's layout is final.

    Args:
        ax: the axes.
        points: all points of the axes; those without a colour have no name written.
        colours: the colour of each name.

    Returns:
        The names for which there is no room.
    """
    renderer = _renderer(ax)
    scale = _pixels(ax)
    spots = {one.name: ax.transData.transform(one.at) for one in points}
    marks = [_around(spot, _MARKER * scale) for spot in spots.values()]
    bars = [Bbox(ax.transData.transform(ends)).padded(1) for one in points for ends in one.bars]
    written: list[Bbox] = []
    missing = []
    room = ax.get_window_extent(renderer)
    for name in (one.name for one in points if one.name in colours):
        best = None
        for letters in _LETTERS:
            text = "\n".join(wrap(name, letters)).replace("$", r"\$")
            note = ax.annotate(
                text, (0, 0), xytext=(0, 0), textcoords="figure pixels", fontsize=_SIZE,
                color=colours[name], annotation_clip=False, zorder=5, linespacing=0.95,
            )  # fmt: skip
            size = note.get_window_extent(renderer)
            note.remove()
            found = _candidates(spots[name], size.width, size.height, scale)
            best = _cheapest(found, spots[name], room, written + marks, bars)
            if best is not None:
                box, distance = best
                written.append(box)
                _write(ax, text, box, spots[name], colours[name], distance > _LEADER)
                break
        if best is None:
            missing.append(name)
    return missing


def beside(ax: Axes, text: str, span: tuple[float, float], y: float, colour: str) -> bool:
    """Write a name on a row, to the right of what is drawn there, or to the left if it fits there.

    Args:
        ax: the axes, with final layout.
        text: the name.
        span: the ends of what is drawn, in data coordinates.
        y: the row.
        colour: of the text.

    Returns:
        Whether there is room for it.
    """
    renderer = _renderer(ax)
    gap = _MARKER + 2.0
    room = ax.get_window_extent(renderer)
    pixels = gap * _pixels(ax)
    ends = [ax.transData.transform((x, y))[0] for x in span]
    left, right = ends[0] - pixels - room.x0, room.x1 - ends[1] - pixels
    note = ax.annotate(
        text.replace("$", r"\$"), (span[1], y), (gap, 0), "data", "offset points",
        fontsize=_SIZE, color=colour, va="center", annotation_clip=False, zorder=5,
    )  # fmt: skip
    if note.get_window_extent(renderer).width > right and left > right:
        note.xy, note.xyann = (span[0], y), (-gap, 0)
        note.set_horizontalalignment("right")
    fits = note.get_window_extent(renderer).width <= max(left, right)
    if not fits:
        note.remove()
    return fits


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def _renderer(ax: Axes) -> RendererAgg:
    return FigureCanvasAgg(_figure(ax)).get_renderer()


def _pixels(ax: Axes) -> float:
    """Return the size of a point in pixels."""
    return _figure(ax).dpi / 72


def _around(spot: np.ndarray, half: float) -> Bbox:
    return Bbox([spot - half, spot + half])


def _candidates(
    spot: np.ndarray, wide: float, high: float, scale: float
) -> Iterator[tuple[Bbox, float]]:
    """Yield places of a text around a point with their distance in points, the best first."""
    for distance in _DISTANCES:
        reach = (distance + _MARKER) * scale
        for angle in _ANGLES:
            across, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            x, y = spot[0] + reach * across, spot[1] + reach * up
            left = x - wide * (1 - across) / 2 if abs(across) < 0.9 else x - wide * (across < 0)
            bottom = y - high * (1 - up) / 2 if abs(up) < 0.9 else y - high * (up < 0)
            yield Bbox.from_bounds(left, bottom, wide, high), distance


def _cheapest(
    found: Iterator[tuple[Bbox, float]],
    spot: np.ndarray,
    room: Bbox,
    taken: Sequence[Bbox],
    bars: Sequence[Bbox],
) -> tuple[Bbox, float] | None:
    """Return the place in the room that covers nothing, and few bars near by; None if none does."""
    own = [box for box in taken if not box.contains(*spot)]
    best, least = None, math.inf
    for box, distance in found:
        inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 <= box.y1 <= room.y1
        if not inside or any(box.overlaps(other) for other in taken):
            continue
        if distance > _LEADER and any(_crosses(other, spot, box) for other in own):
            continue
        cost = distance + 12 * sum(box.overlaps(bar) for bar in bars)
        if cost < least:
            best, least = (box, distance), cost
    return best


def _crosses(other: Bbox, spot: np.ndarray, box: Bbox) -> bool:
    """Return whether the line from a point to its name passes through another box."""
    ways = np.linspace(spot, _nearest(box, spot), 12)
    return any(other.contains(*way) for way in ways)


def _nearest(box: Bbox, spot: np.ndarray) -> np.ndarray:
    return np.clip(spot, box.min, box.max)


def _write(
    ax: Axes, text: str, box: Bbox, spot: np.ndarray, colour: str, has_leader: bool
) -> Annotation:
    # Offsets in points from the point, which hold at any resolution.
    x, y = ax.transData.inverted().transform(spot)
    if has_leader:
        across, up = (_nearest(box, spot) - spot) / _pixels(ax)
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 3}
        ax.annotate(
            "", (x, y), (across, up), "data", "offset points", line, zorder=2, annotation_clip=False
        )
    left, bottom = (box.min - spot) / _pixels(ax)
    return ax.annotate(
        text, (x, y), (left, bottom), "data", "offset points", fontsize=_SIZE,
        color=colour, ha="left", va="bottom", zorder=5, linespacing=0.95, annotation_clip=False,
    )  # fmt: skip
