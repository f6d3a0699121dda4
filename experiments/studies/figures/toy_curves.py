"""Loss and variance along the training of a single bit (REBAR's and RELAX's figures 1 and 2)."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import REBAR, RELAX, Bernoulli, Estimator, GumbelSoftmax, MuProp, ScoreFunction
from experiments.measurement.point import Row, estimator_columns
from experiments.problems.toy import Quadratic
from experiments.studies.figures.study import Study
from experiments.training import run as training
from experiments.training.run import Recipe, Run

_TARGETS = (0.45, 0.499)
_RATE = 0.01
_POINTS = 40
_VARIANCE_DRAWS = 1000
_SURROGATE = 200


def study(budget: str) -> Study:
    """Return the study: two targets, five estimators that learn as they go."""
    smoke = budget == "smoke"
    steps, seeds = (80, 2) if smoke else (10_000, 10)
    tasks: dict[str, Any] = {
        f"t = {target:g}, {name}": functools.partial(_rows, target, name, steps, seeds)
        for target in _TARGETS
        for name in _estimators()
    }
    return Study(
        "toy-curves",
        "Loss and variance on one bit (Tucker et al. 2017; Grathwohl et al. 2018)",
        "toy_curves",
        {"steps": steps, "seeds": seeds, "rate": _RATE, "targets": list(_TARGETS)},
        tasks,
    )


def _estimators() -> dict[str, Estimator]:
    return {
        "REINFORCE": ScoreFunction(),
        "MuProp": MuProp(),
        "REBAR": REBAR(0.5),
        "RELAX": RELAX(temperature=0.5),
        "Gumbel-softmax": GumbelSoftmax(0.5),
    }


def _rows(target: float, name: str, steps: int, seeds: int, advance) -> list[Row]:
    problem, estimator = Quadratic(target, 0.0), _estimators()[name]
    recipe = Recipe(problem, tuning_rate=_RATE)
    each = max(1, steps // _POINTS)

    def begin(seed):
        return training.start(recipe, Run(seed, _RATE), estimator, None)

    def go_on(seed, state):
        state, _ = training.advance(recipe, Run(seed, _RATE), state, None, each)
        return state, look(seed, state)

    def look(seed, state):
        """Return the exact loss, and the variance of the gradient with what is learned so far."""

        def gradient(key):
            def loss(params):
                return problem.loss(params, state.estimator, key, None)

            return jax.grad(loss)(state.params)["logits"]

        key = jax.random.fold_in(jax.random.key(seed), state.step)
        gradients = jax.vmap(gradient)(jax.random.split(key, _VARIANCE_DRAWS))
        return problem.exact_loss(state.params, None), jnp.var(gradients, ddof=1)

    numbers = jnp.arange(seeds, dtype=jnp.uint32)
    states = jax.jit(jax.vmap(begin))(numbers)
    on = jax.jit(jax.vmap(go_on))
    shared = {"target": target, "name": name} | estimator_columns(estimator)
    rows: list[Row] = []
    for number in range(steps // each):
        states, (losses, variances) = on(numbers, states)
        for metric, values in (("loss", losses), ("log_variance", np.log(np.asarray(variances)))):
            rows += [
                shared
                | {"metric": metric, "step": (number + 1) * each, "seed": i, "value": float(value)}
                for i, value in enumerate(np.asarray(values, np.float64))
            ]
        advance((number + 1) * each / steps)
    first = jax.tree.map(lambda leaf: leaf[0], states)
    if isinstance(first.estimator, RELAX):
        rows += [shared | row for row in _surrogate(first.estimator, first.params["logits"])]
    return rows


def _surrogate(estimator: RELAX, logits: jax.Array) -> list[Row]:
    """Return what the control variate has learned, along the relaxed variable z."""
    z = np.linspace(0.001, 0.999, _SURROGATE)
    distribution = Bernoulli(logits)
    values = jax.vmap(lambda z: estimator.control_variate(jnp.atleast_1d(z)))(
        jnp.asarray(z, jnp.float32)
    )
    chance = float(distribution.mean[0])
    return [
        {
            "metric": "surrogate",
            "step": 0,
            "seed": 0,
            "z": float(x),
            "value": float(value),
            "chance": chance,
        }
        for x, value in zip(z, np.asarray(values).ravel(), strict=True)
    ]
