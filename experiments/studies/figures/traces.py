"""Gradients, probability and loss during training of ARM's toy (Yin and Zhou 2019, figure 1)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import ARM, REBAR, DisARM, Estimator, Exact, ScoreFunction, frozen
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems.toy import Quadratic, Toy
from experiments.studies.figures.study import Figure, figure_study

_TARGETS = (0.49, 0.499, 0.501, 0.51)
_RATE = 1.0
_KEPT = 200


def study(scale: str) -> Figure:
    """Return the study of four targets and five estimators; E (z - p0)^2 is maximised."""
    steps = 200 if scale == "smoke" else 2000
    return figure_study(
        "gradient-traces",
        "Maximising E (z - p0)^2 by gradient ascent (Yin and Zhou 2019)",
        "gradient_traces",
        {"steps": steps, "rate": _RATE, "targets": list(_TARGETS)},
        {f"p0 = {target:g}": functools.partial(_rows, target, steps) for target in _TARGETS},
    )


def _estimators() -> dict[str, Estimator]:
    return {
        "true gradient": Exact(),
        "REINFORCE": ScoreFunction(),
        "REBAR": REBAR(0.5),
        "ARM": ARM(),
        "DisARM": DisARM(),
    }


def _rows(target: float, steps: int, advance) -> list[Row]:
    from scipy import special

    problem = Quadratic(target, 0.0)
    rows: list[Row] = []
    made = _estimators()
    for number, (name, estimator) in enumerate(made.items()):
        keys = jax.random.split(jax.random.key(0), (1, steps))
        (logits,), (gradients,) = ascend(problem, estimator, keys)
        kept = range(0, steps, max(1, steps // _KEPT))
        chance = special.expit(logits)
        value = chance * (1 - target) ** 2 + (1 - chance) * target**2
        for metric, series in (
            ("gradient", gradients),
            ("probability", chance),
            ("objective", value),
        ):
            shared = {"p0": target, "name": name, "metric": metric}
            shared |= estimator_columns(estimator)
            rows += [shared | {"step": step, "value": float(series[step])} for step in kept]
        advance((number + 1) / len(made))
    return rows


def ascend(problem: Toy, estimator: Estimator, keys: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Maximise E f of one bit from probability 1/2, by gradient ascent at rate 1.

    Args:
        problem: the toy.
        estimator: estimates the gradient.
        keys: `[runs, steps]`, a typed random key for each step.

    Returns:
        The logits before each step and the gradients there, both `[runs, steps]`.
    """

    def run(keys):
        def step(logits, key):
            def loss(logits):
                return problem.loss({"logits": logits}, estimator, key, None)

            with frozen():
                gradient = jax.grad(loss)(logits)
            return logits + _RATE * gradient, (logits[0], gradient[0])

        return jax.lax.scan(step, jnp.zeros(1), keys)[1]

    logits, gradients = jax.jit(jax.vmap(run))(keys)
    return np.asarray(logits, np.float64), np.asarray(gradients, np.float64)
