"""Samples, reconstructions and latent traversals of two VAEs, pixel by pixel."""

import functools

import jax
import numpy as np

from estimators import DisARM, Estimator, GumbelSoftmax
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import VAE
from experiments.problems.images import SIDE
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

_SEED = 0
_RATE = 1e-3
_COLUMNS = 16
_ROWS = {"samples": 2, "reconstructions": 2, "traversals": 4}


def study(scale: str) -> Figure:
    """Return the study of a VAE of bits and one of categorical variables."""
    steps, hidden = (10, "") if scale == "smoke" else (10_000, "200-200")
    models: list[tuple[VAE, Estimator]] = [
        (VAE("Bernoulli", 50, hidden=hidden), DisARM()),
        (VAE("Categorical", 20, 10, hidden=hidden), GumbelSoftmax(0.5)),
    ]
    return figure_study(
        "vae-pictures",
        "Samples, reconstructions and latent traversals",
        "vae_pictures",
        {"steps": steps, "rate": _RATE},
        {str(vae): functools.partial(_rows, vae, estimator, steps) for vae, estimator in models},
    )


def _rows(vae: VAE, estimator: Estimator, steps: int, advance) -> list[Row]:
    """Train a VAE and return its pictures, one row per pixel."""
    (params,), _ = train_several(Recipe(vae), [Run(_SEED, _RATE)], estimator, steps, advance)
    examples = vae.examples(jax.random.key(0), vae.data("test")[:_COLUMNS])
    grids = jax.jit(vae.pictures)(params, jax.random.key(1), examples)
    grids |= {"samples": grids["samples"].reshape(-1, _COLUMNS, SIDE, SIDE)}
    shared = {"problem": str(vae), "seed": _SEED, "steps": steps, **estimator_columns(estimator)}
    rows: list[Row] = []
    for name, count in _ROWS.items():
        values = np.asarray(grids[name][:count], np.float64).round(4)
        rows += [
            shared
            | {"picture": name, "row": row, "column": column, "y": y, "x": x, "value": float(value)}
            for (row, column, y, x), value in np.ndenumerate(values)
        ]
    return rows
