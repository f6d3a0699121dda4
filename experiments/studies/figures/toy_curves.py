"""Loss and variance during the training of a single bit (REBAR's and RELAX's figures 1 and 2)."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    REBAR,
    RELAX,
    Bernoulli,
    Estimator,
    GumbelSoftmax,
    MuProp,
    ScoreFunction,
    frozen,
)
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems.toy import Quadratic
from experiments.studies.figures.study import Figure, Task, figure_study
from experiments.training import run as training
from experiments.training.run import Recipe, Run

_TARGETS = (0.45, 0.499)
RATE = 0.01
"""Learning rate of Adam."""

LOSS = "loss"
"""The metric of the exact loss."""

_POINTS = 40
_VARIANCE_SAMPLES = 1000
_SURROGATE = 200

ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "REINFORCE": ScoreFunction,
    "MuProp": MuProp,
    "REBAR": lambda: REBAR(0.5),
    "RELAX": lambda: RELAX(temperature=0.5),
    "Gumbel-softmax": lambda: GumbelSoftmax(0.5),
}
"""The estimators by name."""


def study(scale: str) -> Figure:
    """Return the study of two targets and five estimators, tuned during training."""
    smoke = scale == "smoke"
    steps, seeds = (80, 2) if smoke else (10_000, 10)
    tasks: dict[str, Task] = {
        f"t = {target:g}, {name}": functools.partial(_rows, target, name, steps, seeds)
        for target in _TARGETS
        for name in ESTIMATORS
    }
    return figure_study(
        "toy-curves",
        "Loss and variance on one bit (Tucker et al. 2017; Grathwohl et al. 2018)",
        "toy_curves",
        {"steps": steps, "seeds": seeds, "rate": RATE, "targets": list(_TARGETS)},
        tasks,
    )


def _rows(target: float, name: str, steps: int, seeds: int, advance) -> list[Row]:
    estimator = ESTIMATORS[name]()
    shared = {"target": target, "name": name} | estimator_columns(estimator)
    every = max(1, steps // _POINTS)
    found = curves(target, estimator, steps, every, seeds, advance, tuning_rate=RATE)
    return [shared | row for row in found]


def curves(
    target: float,
    estimator: Estimator,
    steps: int,
    every: int,
    seeds: int,
    advance: Callable[[float], None],
    tuning_rate: float | None = None,
) -> list[Row]:
    """Train one bit from probability 1/2; return exact losses and variances during training.

    Args:
        target: target of the quadratic.
        estimator: estimates the gradient.
        steps: number of Adam steps.
        every: the number of steps between two rows.
        seeds: the number of runs.
        advance: reports progress.
        tuning_rate: learning rate of the estimator's own leaves; None for the published one.
    """
    problem = Quadratic(target, 0.0)
    recipe = Recipe(problem, tuning_rate=tuning_rate)

    def begin(seed):
        return training.start(recipe, Run(seed, RATE), estimator, None)

    def go_on(seed, state):
        state, _ = training.advance(recipe, Run(seed, RATE), state, None, every)
        return state, look(seed, state)

    def look(seed, state):
        """Return the exact loss and the variance of the gradient of the estimator so far."""

        def gradient(key):
            def loss(params):
                return problem.loss(params, state.estimator, key, None)

            with frozen():
                return jax.grad(loss)(state.params)["logits"]

        key = jax.random.fold_in(jax.random.key(seed), state.step)
        gradients = jax.vmap(gradient)(jax.random.split(key, _VARIANCE_SAMPLES))
        return problem.exact_loss(state.params, None), jnp.var(gradients, ddof=1)

    numbers = jnp.arange(seeds, dtype=jnp.uint32)
    states = jax.jit(jax.vmap(begin))(numbers)
    on = jax.jit(jax.vmap(go_on))
    rows: list[Row] = []
    for step in range(every, steps + 1, every):
        states, (losses, variances) = on(numbers, states)
        for metric, values in ((LOSS, losses), ("log_variance", np.log(np.asarray(variances)))):
            rows += [
                {"metric": metric, "step": step, "seed": i, "value": float(value)}
                for i, value in enumerate(np.asarray(values, np.float64))
            ]
        advance(step / steps)
    first = jax.tree.map(lambda leaf: leaf[0], states)
    if isinstance(first.estimator, RELAX):
        rows += _surrogate(first.estimator, first.params["logits"])
    return rows


def _surrogate(estimator: RELAX, logits: jax.Array) -> list[Row]:
    """Return the learned control variate along the relaxed variable z."""
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
