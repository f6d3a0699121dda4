"""Figures: in each module, `data(rows)` returns the plotted data and `draw(rows)` the figure.

`pictures` has `load(path)` and `draw(name, pictures)` instead.
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
