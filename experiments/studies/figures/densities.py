"""Densities of Concrete variables (Maddison et al. 2017, figures 2 and 3)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Categorical
from experiments.measurement.rows import Row
from experiments.studies.figures.lattice import lattice
from experiments.studies.figures.relaxed_samples import WEIGHTS, relaxed_samples
from experiments.studies.figures.study import Figure, figure_study

_TRIANGLE = (2.0, 0.5, 1.0)
_SIMPLEX = (0.5, 1.0, 2.0)
_ODDS = (1.0, 3.0)
_BINARY = (0.2, 0.5, 1.0, 2.0)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def study(scale: str) -> Figure:
    """Return the study of densities on a triangle and an interval, and of seven classes."""
    points = 20 if scale == "smoke" else 120
    num_samples = 1 << (10 if scale == "smoke" else 17)
    tasks = {f"simplex, {t:g}": functools.partial(_simplex, t, points) for t in _SIMPLEX}
    tasks |= {
        f"binary, odds {odds:g}, {t:g}": functools.partial(_binary, odds, t, 4 * points)
        for odds in _ODDS
        for t in _BINARY
    }
    tasks |= {f"seven classes, {t:g}": functools.partial(_seven, t, num_samples) for t in _BINARY}
    return figure_study(
        "densities",
        "Densities of Concrete variables by temperature",
        "densities",
        {
            "weights": list(_TRIANGLE),
            "odds": list(_ODDS),
            "seven": list(WEIGHTS),
            "points": points,
            "draws": num_samples,
        },
        tasks,
    )


def _simplex(temperature: float, points: int, advance) -> list[Row]:
    """Return the density over a grid strictly inside the triangle; weights 2, 0.5 and 1."""
    places = lattice(points, 0.01)
    relaxed = Categorical(jnp.log(jnp.asarray(_TRIANGLE))).relax(temperature)
    density = jax.vmap(relaxed.log_density)(jnp.asarray(places, jnp.float32))
    return [
        {
            "panel": "simplex",
            "temperature": temperature,
            "x": x,
            "y": y,
            "value": value,
        }
        for (x, y, _), value in zip(places.tolist(), np.exp(density).tolist(), strict=True)
    ]


def _binary(odds: float, temperature: float, points: int, advance) -> list[Row]:
    """Return the density of the binary Concrete variable on (0, 1), evenly spaced in its logit."""
    from scipy import special

    logits = np.linspace(-7, 7, points)
    places = special.expit(logits)
    relaxed = Bernoulli(jnp.log(jnp.asarray([odds]))).relax(temperature)
    log_density = jax.vmap(relaxed.log_prob)(jnp.asarray(logits[:, None], jnp.float32))
    density = np.exp(np.asarray(log_density, np.float64)) / (places * (1 - places))
    return [
        {
            "panel": f"binary, odds {odds:g}",
            "temperature": temperature,
            "x": x,
            "value": value,
        }
        for x, value in zip(places.tolist(), density.tolist(), strict=True)
    ]


def _seven(temperature: float, num_samples: int, advance) -> list[Row]:
    """Return quantiles of each coordinate of a Concrete variable of seven classes."""
    weights = np.array(WEIGHTS, float)
    samples = relaxed_samples(temperature, jax.random.split(jax.random.key(0), num_samples))
    found = np.quantile(samples, _QUANTILES, axis=0)
    return [
        {
            "panel": "seven classes",
            "temperature": temperature,
            "x": place,
            "y": quantile,
            "value": float(found[i, place]),
            "probability": float(weights[place] / weights.sum()),
        }
        for place in range(len(WEIGHTS))
        for i, quantile in enumerate(_QUANTILES)
    ]
