"""Samples and means of a Gumbel-softmax variable by temperature (Jang et al. 2017, figure 1)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Categorical
from experiments.measurement.rows import Row
from experiments.statistics import sample_mean
from experiments.studies.figures.study import Figure, figure_study

WEIGHTS = (1, 2, 5, 8, 4, 2, 1)
"""Of the seven classes."""

_TEMPERATURES = (0.1, 0.5, 1.0, 10.0)
_SHOWN = 2


def study(scale: str) -> Figure:
    """Return the study of a categorical variable and its relaxation at four temperatures."""
    num_samples = 1 << (10 if scale == "smoke" else 18)
    temperatures = (0.0, *_TEMPERATURES)
    return figure_study(
        "relaxed-samples",
        "Means and samples of a Gumbel-softmax variable by temperature",
        "relaxed_samples",
        {"weights": list(WEIGHTS), "temperatures": list(temperatures), "draws": num_samples},
        {f"temperature {t:g}": functools.partial(_rows, t, num_samples) for t in temperatures},
    )


def _rows(temperature: float, num_samples: int, advance) -> list[Row]:
    """Return the mean and some samples at a temperature; 0 is the categorical variable itself."""
    samples = relaxed_samples(temperature, jax.random.split(jax.random.key(3), num_samples))
    rows: list[Row] = []
    for place in range(len(WEIGHTS)):
        shared = {"temperature": temperature, "class": place, "number": 0}
        mean = sample_mean(samples[:, place])
        rows.append(shared | {"kind": "mean"} | mean.interval())
        rows += [
            shared | {"kind": "sample", "number": i, "value": float(samples[i, place])}
            for i in range(_SHOWN)
        ]
    return rows


def relaxed_samples(temperature: float, keys: jax.Array) -> np.ndarray:
    """Return samples of the seven classes, relaxed at a temperature; 0 is the variable itself.

    Args:
        temperature: temperature of the relaxation.
        keys: `[n]`.

    Returns:
        `[n, 7]`.
    """
    distribution = Categorical(jnp.log(jnp.asarray(WEIGHTS, jnp.float32)))
    relaxed = distribution.relax(temperature) if temperature else None

    def sample(key):
        if relaxed is None:
            return distribution.sample(key)
        return relaxed.squash(relaxed.sample(key))

    return np.asarray(jax.jit(jax.vmap(sample))(keys), np.float64)
