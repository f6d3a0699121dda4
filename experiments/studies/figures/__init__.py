"""The studies behind the figures of `estimax figure`; `analysis.figures` draws them."""

import importlib

from experiments.running.user_code import named
from experiments.studies.figures.study import SCALES as SCALES
from experiments.studies.figures.study import Figure as Figure

FIGURES = {
    "relaxed-samples": "relaxed_samples.study",
    "densities": "densities.study",
    "diffusion-steps": "diffusion_steps.study",
    "variance-by-evaluations": "evaluations.study",
    "gumbel-rao-simplex": "simplex.study",
    "gradient-traces": "traces.study",
    "toy-curves": "toy_curves.study",
    "temperature-toy": "presets.temperature_toy",
    "temperature-vae": "presets.temperature_vae",
    "temperature-vae200": "presets.temperature_vae200",
    "gumbel-rao-temperature": "presets.gumbel_rao_temperature",
    "bias-variance": "presets.bias_variance",
    "error-cost": "presets.error_cost",
    "training-curves": "presets.training_curves",
    "variance-along-training": "presets.variance_along_training",
    "integrality-gap": "integrality.study",
    "cart-pole": "cart_pole.study",
    "sequence-gan": "sequence_gan.study",
    "vae-pictures": "vae_pictures.study",
    "experts": "experts.study",
    "vector-quantised": "quantised.study",
    "gates": "gates.study",
    "explain": "explain.study",
    "memory": "memory.study",
    "rounding": "rounding.study",
    "world-model": "world_model.study",
}
"""By figure name: the function, in a module of this package, that builds its study at a scale."""


def build(name: str, scale: str = "laptop") -> Figure:
    """Return the study of a figure.

    Raises:
        UsageError: for an unknown name.
    """
    module, _, function = named("figure", name, FIGURES).partition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(scale)
