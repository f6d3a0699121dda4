"""Grids of pictures, such as the samples of a model."""

import os
import zipfile

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.style import DPI, paper, width

_GAP = 1  # pixels between pictures
_MARGIN = 6  # dots around the title
_WIDEST = 0.6  # inches of a picture
_ROUNDING = 1e-5


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the pictures of a `.npz` file by name, each array as `draw` takes it.

    Raises:
        ValueError: where the file is another kind, empty or damaged, or an array is not of
            pictures, saying which.
        FileNotFoundError: where there is no such file.
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{os.fspath(path)} is not an .npz file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{os.fspath(path)} cannot be read: {error}") from error
    if not arrays:
        raise ValueError(f"{os.fspath(path)} holds no pictures")
    for name, pictures in arrays.items():
        _check(name, pictures)
    return arrays


def draw(name: str, pictures: np.ndarray) -> Figure:
    """Draw pictures as one grid, dark ink on white, under their name.

    Args:
        name: what they are: "samples", "reconstructions".
        pictures: `[rows, columns, height, width]`, from 0 (white) to 1 (black).

    Raises:
        ValueError: where the array is not such a one.
    """
    _check(name, pictures)
    grid = _grid(pictures)
    dots = _dots(grid.shape[1], pictures.shape[-1])
    across, down = round(grid.shape[1] * dots), round(grid.shape[0] * dots)
    with paper():
        figure = Figure(dpi=DPI)
        figure.set_layout_engine("none")
        text = figure.suptitle(name.replace("$", r"\$"), va="top", fontsize=8)
        box = text.get_window_extent(FigureCanvasAgg(figure).get_renderer())
        title = round(box.height) + 2 * _MARGIN
        # Whole dots everywhere, or the pixels of a picture come out of different sizes.
        wide = max(across, round(box.width) + 2 * _MARGIN)
        wide, high = wide + (wide - across) % 2, down + title
        figure.set_size_inches(wide / DPI, high / DPI)
        text.set_y(1 - _MARGIN / high)
        left = (wide - across) // 2
        ax = figure.add_axes((left / wide, 0, across / wide, down / high))
        smooth = "nearest" if dots.is_integer() else "hanning"
        ax.imshow(grid, cmap="binary", vmin=0, vmax=1, aspect="auto", interpolation=smooth)
        ax.set_axis_off()
    return figure


def _check(name: str, pictures: np.ndarray) -> None:
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.size == 0:
        shape = list(pictures.shape)
        raise ValueError(f"{name} has shape {shape}, not [rows, columns, height, width]")
    if pictures.dtype.kind not in "buif":
        raise ValueError(f"{name} holds {pictures.dtype}, not numbers")
    # So written that a NaN fails too.
    if not (pictures.min() >= -_ROUNDING and pictures.max() <= 1 + _ROUNDING):
        raise ValueError(f"{name} has values outside [0, 1], or not finite")


def _grid(pictures: np.ndarray) -> np.ndarray:
    """Return the pictures as one, with white lines between them."""
    rows, columns, height, width = pictures.shape
    spaced = np.pad(pictures.astype(float), ((0, 0), (0, 0), (0, _GAP), (0, _GAP)))
    grid = spaced.swapaxes(1, 2).reshape(rows * (height + _GAP), columns * (width + _GAP))
    return grid[:-_GAP, :-_GAP]


def _dots(across: int, picture: int) -> float:
    """Return the size of a pixel in dots: a whole number, unless the page is too narrow."""
    page = width() * DPI
    most = min(page / across, _WIDEST * DPI / picture)
    return float(max(1, int(most))) if across <= page else page / across
