"""Variance ratio of straight-through Gumbel-softmax to Gumbel-Rao (Paulus et al. 2021, fig. 1)."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from estimators import GumbelRao, StraightThroughGumbelSoftmax, frozen
from experiments.measurement.rows import Row
from experiments.problems.toy import SimplexQuadratic
from experiments.studies.figures.lattice import lattice
from experiments.studies.figures.study import Figure, figure_study

_TEMPERATURES = (0.1, 0.5, 1.0)
_LEAST = 0.05  # the variance due to a rarely drawn class is rarely observed


def study(scale: str) -> Figure:
    """Return the study of three temperatures over a lattice of the simplex."""
    smoke = scale == "smoke"
    # 3 does not divide points - 1, so that the centre, where f is zero, is not on the lattice.
    points, num_samples, inner = (5, 512, 4) if smoke else (24, 2048, 100)
    return figure_study(
        "gumbel-rao-simplex",
        "log10 of the variance of ST-GS over that of Gumbel-Rao (Paulus et al. 2021)",
        "simplex",
        {
            "points": points,
            "draws": num_samples,
            "inner": inner,
            "temperatures": list(_TEMPERATURES),
        },
        {
            f"temperature {t:g}": functools.partial(_rows, t, points, num_samples, inner)
            for t in _TEMPERATURES
        },
    )


def _rows(
    temperature: float, points: int, num_samples: int, inner: int, advance: Callable[[float], None]
) -> list[Row]:
    keys = jax.random.split(jax.random.key(0), (1, num_samples))
    return variance_ratios(temperature, points, keys, inner, advance)


def variance_ratios(
    temperature: float,
    points: int,
    keys: jax.Array,
    inner: int,
    advance: Callable[[float], None],
) -> list[Row]:
    """Return the log10 ratio of variances at every point of the simplex, for batches of keys.

    Args:
        temperature: temperature of both estimators.
        points: number of lattice points on an edge of the simplex.
        keys: `[batches, gradients]`.
        inner: samples of Gumbel-Rao.
        advance: reports progress.
    """
    problem = SimplexQuadratic()
    pair = StraightThroughGumbelSoftmax(temperature), GumbelRao(temperature, inner)

    @jax.jit
    def variances(p):
        def gradient(estimator, key):
            # f at fixed p: its dependence on p is not noise.
            fixed = jax.lax.stop_gradient(jnp.log(p))

            def loss(logits):
                distribution = problem.distribution({"logits": logits}, None)
                return estimator(key, distribution, lambda z: problem.f(fixed, z))

            with frozen():
                return jax.grad(loss)(jnp.log(p))

        def batch(keys):
            found = [jax.vmap(functools.partial(gradient, one))(keys) for one in pair]
            return jnp.stack([jnp.var(gradients, axis=0, ddof=1).sum() for gradients in found])

        return jax.lax.map(batch, keys)

    rows: list[Row] = []
    places = lattice(points, _LEAST)
    for number, place in enumerate(places):
        found = np.asarray(variances(jnp.asarray(place, jnp.float32)), np.float64)
        rows += [
            {
                "temperature": temperature,
                "x": float(place[0]),
                "y": float(place[1]),
                "metric": "log10_variance_ratio",
                "value": float(np.log10(straight / averaged)),
                "samples": keys.shape[-1],
                "inner": inner,
            }
            for straight, averaged in found
        ]
        advance((number + 1) / len(places))
    return rows
