"""The figures: in each module, `data(rows)` is what is drawn and `draw(rows)` the figure.

`pictures` is not of rows: it has `load(path)` and `draw(name, pictures)`.
"""

from analysis.figures import (
    along_training,
    bias_variance,
    densities,
    error_cost,
    evaluations,
    gradient_traces,
    integrality,
    pictures,
    relaxed_samples,
    reproduction,
    simplex,
    temperature,
    toy_curves,
    training,
    vae_pictures,
)

__all__ = [
    "along_training",
    "bias_variance",
    "densities",
    "error_cost",
    "evaluations",
    "gradient_traces",
    "integrality",
    "pictures",
    "relaxed_samples",
    "reproduction",
    "simplex",
    "temperature",
    "toy_curves",
    "training",
    "vae_pictures",
]
