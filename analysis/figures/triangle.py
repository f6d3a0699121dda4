"""The simplex of three probabilities, drawn as a triangle."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.tri import Triangulation

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def mesh(points: pd.DataFrame) -> Triangulation:
    """Return the mesh of points whose `x` and `y` are the first two probabilities.

    Raises:
        ValueError: if all points lie on a line.
    """
    shares = np.stack([points["x"], points["y"], 1 - points["x"] - points["y"]], -1)
    across, up = (shares @ CORNERS).T
    try:
        return Triangulation(across, up)
    except RuntimeError as error:  # of qhull
        raise ValueError("the points are collinear") from error


def outline(ax: Axes) -> None:
    """Draw the triangle's edges with class numbers at its corners, without axes."""
    ax.plot(*np.append(CORNERS, CORNERS[:1], 0).T, color="0.3", linewidth=0.8)
    ax.set(aspect="equal")
    ax.set_axis_off()
    for number, (x, y) in enumerate(CORNERS, 1):
        below = y == 0
        ax.annotate(
            str(number),
            (x, y),
            xytext=(0, -3 if below else 2),
            textcoords="offset points",
            fontsize=7,
            ha="center",
            va="top" if below else "bottom",
        )
