"""The figures: in each module, `data(rows)` is what is drawn and `draw(rows)` the figure.

`pictures` is not of rows: it has `load(path)` and `draw(name, pictures)`.
"""

from analysis.figures import (
    along_training,
    bias_variance,
    error_cost,
    pictures,
    reproduction,
    temperature,
    training,
)

__all__ = [
    "along_training",
    "bias_variance",
    "error_cost",
    "pictures",
    "reproduction",
    "temperature",
    "training",
]
