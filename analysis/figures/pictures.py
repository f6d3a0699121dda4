"""Grids of pictures, such as samples from a model."""

import io
import os
import textwrap
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.files import read_plain
from analysis.page import PAGE, Page
from analysis.style import DPI, paper

_GAP = 1  # pixels between pictures
_MARGIN = 6  # dots around the title
_WIDEST = 0.6  # inches of a picture
_LETTERS = 18  # to an inch
_ROUNDING = 1e-5
_MOST_BYTES = 2**28  # maximum sizes of a file and of its contents


RUN = "run"
"""The name of the text in a file of pictures that says which run made them."""

_LONGEST_RUN = 1000


class Pictures(NamedTuple):
    """The contents of a file of pictures.

    Attributes:
        run: the run that made them; "" if the file does not say.
        grids: arrays for `draw`, by name.
    """

    run: str
    grids: dict[str, np.ndarray]


def load(path: str | os.PathLike) -> Pictures:
    """Return the pictures of a `.npz` file.

    Raises:
        ValueError: if the file is not an .npz file, is empty or damaged, or an array has an invalid
            shape or values; the message names the file.
        FileNotFoundError: if there is no such file.
    """
    content = io.BytesIO(read_plain(path, _MOST_BYTES))
    if not zipfile.is_zipfile(content):
        raise ValueError(f"{os.fspath(path)} is not an .npz file")
    try:
        if sum(member.file_size for member in zipfile.ZipFile(content).infolist()) > _MOST_BYTES:
            raise ValueError("its contents are too large")
        with np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and numpy raise any type on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{os.fspath(path)} cannot be read: {reason}") from error
    run = str(arrays.pop(RUN)) if _is_text(arrays.get(RUN)) else ""
    if not arrays:
        raise ValueError(f"{os.fspath(path)} contains no pictures")
    for name, pictures in arrays.items():
        try:
            _check(name, pictures)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error
    return Pictures(run, arrays)


def _is_text(value: np.ndarray | None) -> bool:
    return (
        value is not None
        and value.dtype.kind == "U"
        and value.ndim == 0
        and str(value).isprintable()
        and len(str(value)) <= _LONGEST_RUN
    )


def draw(name: str, pictures: np.ndarray, run: str = "", page: Page = PAGE) -> Figure:
    """Draw pictures as one grid, dark on white, with its name and run above.

    Args:
        name: name of the grid, such as "samples" or "reconstructions".
        pictures: `[rows, columns, height, width]`, from 0 (white) to 1 (black).
        run: the run that made them: problem, estimator, seed and step.
        page: the layout.

    Raises:
        ValueError: if the array has an invalid shape or values.
    """
    return column(f"{run}: {name}" if run else name, [("", pictures)], page)


def column(title: str, grids: Sequence[tuple[str, np.ndarray]], page: Page = PAGE) -> Figure:
    """Draw grids of pictures in a column under a title, each with its name above.

    Args:
        title: title of the figure, broken into lines.
        grids: pairs of a name (may be empty) and pictures as for `draw`.
        page: the layout; pictures that are too small for its width are not enlarged beyond it.

    Raises:
        ValueError: if an array has an invalid shape or values.
    """
    for name, pictures in grids:
        _check(name or title, pictures)
    images = [_grid(pictures) for _, pictures in grids]
    widest = max(image.shape[1] for image in images)
    dots = _dots(widest, max(p.shape[-1] for _, p in grids), page.width)
    letters = int(_LETTERS * page.width)
    title = textwrap.fill(title, letters) if page.titles else ""
    with paper():
        figure = Figure(dpi=DPI)
        figure.set_layout_engine("none")
        texts = [figure.suptitle(title.replace("$", r"\$"), va="top", fontsize=8)]
        texts += [
            figure.text(
                0, 0, textwrap.fill(name, letters).replace("$", r"\$"), va="top", fontsize=7
            )
            for name, _ in grids
        ]
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in texts]
        above = [round(box.height) + 2 * _MARGIN if box.width else 0 for box in boxes]
        # An integer, so that all pixels of a picture have the same size.
        sizes = [(round(image.shape[1] * dots), round(image.shape[0] * dots)) for image in images]
        across = max(wide for wide, _ in sizes)
        wide = max([across, *(round(box.width) + 2 * _MARGIN for box in boxes)])
        wide += (wide - across) % 2
        high = sum(above) + sum(down for _, down in sizes)
        figure.set_size_inches(wide / DPI, high / DPI)
        texts[0].set_y(1 - _MARGIN / high)
        left, top = (wide - across) // 2, high - above[0]
        smooth = "nearest" if dots.is_integer() else "hanning"
        for image, size, text, room in zip(images, sizes, texts[1:], above[1:], strict=True):
            text.set_position((_MARGIN / wide, (top - _MARGIN) / high))
            top -= room + size[1]
            ax = figure.add_axes((left / wide, top / high, size[0] / wide, size[1] / high))
            ax.imshow(image, cmap="binary", vmin=0, vmax=1, aspect="auto", interpolation=smooth)
            ax.set_axis_off()
    return figure


def _check(name: str, pictures: np.ndarray) -> None:
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.size == 0:
        shape = list(pictures.shape)
        raise ValueError(f"{name} has shape {shape}, not [rows, columns, height, width]")
    if pictures.dtype.kind not in "buif":
        raise ValueError(f"{name} holds {pictures.dtype}, not numbers")
    # This form also rejects NaN.
    if not (pictures.min() >= -_ROUNDING and pictures.max() <= 1 + _ROUNDING):
        raise ValueError(f"{name} has non-finite values or values outside [0, 1]")


def _grid(pictures: np.ndarray) -> np.ndarray:
    """Return the pictures as one image, separated by white lines."""
    rows, columns, height, width = pictures.shape
    spaced = np.pad(pictures.astype(float), ((0, 0), (0, 0), (0, _GAP), (0, _GAP)))
    grid = spaced.swapaxes(1, 2).reshape(rows * (height + _GAP), columns * (width + _GAP))
    return grid[:-_GAP, :-_GAP]


def _dots(across: int, picture: int, width: float) -> float:
    """Return the size of a pixel in dots; an integer unless the page is too narrow."""
    page = width * DPI
    most = min(page / across, _WIDEST * DPI / picture)
    return float(max(1, int(most))) if across <= page else page / across
