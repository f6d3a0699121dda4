"""Points of the triangle of three probabilities."""

import numpy as np

_EDGE = 0.01  # how far from zero: there densities are infinite and estimators have no variance


def lattice(points: int) -> np.ndarray:
    """Return a regular lattice, `[N, 3]`, with so many points on an edge, strictly inside."""
    first, second = np.indices((points, points))
    inside = first + second < points
    parts = np.stack([first[inside], second[inside], (points - 1 - first - second)[inside]], -1)
    return parts / (points - 1) * (1 - 3 * _EDGE) + _EDGE
