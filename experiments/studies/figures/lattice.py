"""Points of the triangle of three probabilities."""

import numpy as np


def lattice(points: int, least: float) -> np.ndarray:
    """Return a regular lattice with `points` points on an edge, `[N, 3]`, none below `least`."""
    first, second = np.indices((points, points))
    inside = first + second < points
    parts = np.stack([first[inside], second[inside], (points - 1 - first - second)[inside]], -1)
    return parts / (points - 1) * (1 - 3 * least) + least
