"""Reconstructions and latent traversals of trained VAEs."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import pictures
from analysis.page import PAGE, Page
from analysis.rows import chosen

_GRID = ("problem", "estimator", "picture")
_PLACE = ("row", "column", "y")
_LINE = (*_GRID, "steps", *_PLACE)
_ABOUT = {
    "reconstructions": "test images, their reconstructions below them",
    "traversals": "traversals: the most likely code, then one variable changed at a time",
}


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the pixels, one picture row per line, from 0 (white) to 1 (black).

    `picture` names a grid of a `problem` trained with the `estimator` for `steps` steps; `row` and
    `column` are the position in the grid, `y` is the row of pixels, and the columns `x...` hold its
    pixels.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    pixels = chosen(rows, (*_LINE, "x", "value"))
    lines = pixels.pivot_table("value", list(_LINE), "x", "first", sort=False)
    return lines.sort_index(axis=1).rename_axis(columns=None).rename(columns=str).reset_index()


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the grids below each other, grouped by model.

    Args:
        rows: the tidy table of `estimax figure vae-pictures`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    lines, grids = data(rows), {}
    seed = f", seed {rows['seed'].iloc[0]}" if "seed" in rows else ""
    for (problem, estimator, picture), part in lines.groupby(list(_GRID), sort=False):
        about = _ABOUT.get(str(picture), str(picture))
        if problem not in {known[0] for known in grids}:
            about = f"{problem}, trained by {estimator}{seed}: {about}"
        grids[problem, about] = _grid(part)
    title = f"VAEs after {lines['steps'].max():,} steps: mean pixel values"
    found = [(about, grid) for (_, about), grid in grids.items()]
    return pictures.column(title, found, page)


def _grid(part: pd.DataFrame) -> np.ndarray:
    """Return the lines of a grid as an array `[rows, columns, height, width]`."""
    values = part.sort_values(list(_PLACE)).drop(columns=list(_LINE))
    shape = [part[name].nunique() for name in _PLACE]
    return values.to_numpy(float).reshape(*shape, -1)
