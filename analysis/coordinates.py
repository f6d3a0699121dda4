"""The moments of every coordinate of a gradient, in the rows of the metric `coordinates`."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd

METRIC = "coordinates"
MOMENTS = ("mean", "variance", "truth")
"""Of each, the column `coordinate_<name>` has a list of numbers."""

_LEAF = re.compile(r"(.*)\[([0-9]*(?:,[0-9]+)*)\]")
_ABOUT = ("trained_with", "step", "seed", "group", "estimator", "short_name", "method")


def coordinates(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each coordinate of the gradient of each estimator and group.

    Returns:
        Of each row of the metric `coordinates`: `trained_with` if there is one, `step`, `seed`,
        `group`, `estimator`, `short_name` and `method`; `leaf`, the path of the array of parameters
        that a coordinate is in; `index`, its place there, flat, in row-major order; and its `mean`,
        `variance` and `truth`, the true gradient.

    Raises:
        ValueError: if the table has no such rows.
    """
    chosen = rows[rows["metric"] == METRIC]
    if chosen.empty:
        raise ValueError("the moments of coordinates were not kept (compare --coordinates does)")
    about = [name for name in _ABOUT if name in chosen]
    frames = []
    for _, row in chosen.iterrows():
        leaves = _leaves(row["coordinate_leaves"])
        frame = pd.DataFrame({name: row[f"coordinate_{name}"] for name in MOMENTS}, dtype=float)
        frame.insert(0, "leaf", np.repeat([*leaves], [*leaves.values()]))
        frame.insert(1, "index", np.concatenate([np.arange(size) for size in leaves.values()]))
        frames.append(frame.assign(**{name: row[name] for name in about}))
    found = pd.concat(frames, ignore_index=True)
    return found[[*about, "leaf", "index", *MOMENTS]]


def check(rows: pd.DataFrame) -> None:
    """Check the columns of coordinates of a table.

    Raises:
        ValueError: if one is missing or holds something else than lists of numbers, as many as the
            arrays of their row have.
    """
    columns = [f"coordinate_{name}" for name in MOMENTS]
    if missing := {"metric", "coordinate_leaves", *columns} - {*map(str, rows)}:
        raise ValueError(f"the result table lacks the column {', '.join(sorted(missing))}")
    is_one = rows["metric"] == METRIC
    if rows.loc[~is_one, [*columns, "coordinate_leaves"]].notna().any(axis=None):
        raise ValueError("the result table has coordinates in rows of another metric")
    for _, row in rows[is_one].iterrows():
        size = sum(_leaves(row["coordinate_leaves"]).values())
        for name in columns:
            if _size(row[name]) != size:
                raise ValueError(f"the result table's column {name} does not hold {size:,} numbers")


def _size(cell: Any) -> int | None:
    """Return the length of a list of numbers; None for anything else."""
    if not isinstance(cell, list | np.ndarray):
        return None
    array = np.asarray(cell)
    return len(array) if array.ndim == 1 and np.issubdtype(array.dtype, np.floating) else None


def _leaves(text: Any) -> dict[str, int]:
    """Return the number of coordinates of each array, by its path."""
    found: dict[str, int] = {}
    for leaf in text.split("; ") if isinstance(text, str) else [""]:
        match = _LEAF.fullmatch(leaf)
        if match is None or match[1] in found:
            raise ValueError("the result table's column coordinate_leaves names no arrays")
        found[match[1]] = math.prod(int(size) for size in match[2].split(",") if size)
    return found
