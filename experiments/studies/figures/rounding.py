"""Refining an image's latent vector before it is rounded, by several estimators."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    REBAR,
    DiffusionRelaxation,
    DisARM,
    Estimator,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
    replace_gradient,
)
from experiments.measurement.rows import Row, estimator_columns
from experiments.optimisers import Adam
from experiments.problems import Rounding
from experiments.statistics import Estimate, sample_mean
from experiments.studies.figures.paired import UNKNOWN
from experiments.studies.figures.predictions import Of, Prediction
from experiments.studies.figures.study import Figure, figure_study

SGA, DETERMINISTIC = "stochastic Gumbel annealing", "deterministic annealing"
IDENTITY, NOISE, NEAREST = "straight-through rounding", "additive noise", "nearest integers"
_METRIC = "rounding_gap"
_RATES = (1e-3, 5e-3, 2e-2)
_ALL = "all roundings"

_ESTIMATORS: dict[str, Estimator] = {
    SGA: GumbelSoftmax(0.5),
    DETERMINISTIC: DiffusionRelaxation(1),
    "ST Gumbel-softmax": StraightThroughGumbelSoftmax(0.5),
    "straight-through bits": StraightThrough(),
    "ReinMax": ReinMax(),
    "leave-one-out, 2": ScoreFunction(LeaveOneOut(2)),
    "DisARM": DisARM(),
    "REBAR": REBAR(0.5),
    _ALL: Exact(),
}
_IN_SMOKE = (SGA, DETERMINISTIC, "DisARM")

Objective = Callable[[Rounding, jax.Array, jax.Array, jax.Array], jax.Array]
"""Returns the mean loss of latent vectors and images, given the problem and a key."""


def _identity(problem: Rounding, latents: jax.Array, key: jax.Array, images: jax.Array):
    """Return the cost of the nearest integers, as if rounding had the slope 1."""
    codes = replace_gradient(jnp.round(latents), latents)
    return jax.vmap(problem.f)(codes, images).mean()


def _noise(problem: Rounding, latents: jax.Array, key: jax.Array, images: jax.Array):
    """Return the cost of latent vectors with the uniform noise that the compressor learned with."""
    noise = jax.random.uniform(key, latents.shape, minval=-0.5, maxval=0.5)
    return jax.vmap(problem.f)(latents + noise, images).mean()


def _of_bits(
    estimator: Estimator,
    problem: Rounding,
    latents: jax.Array,
    key: jax.Array,
    images: jax.Array,
) -> jax.Array:
    """Return an estimator's loss, its temperature that of the bits."""
    if "temperature" in estimator.hyperparameters():
        annealed = {"temperature": jnp.asarray(problem.temperature)}
        estimator = dataclasses.replace(estimator, **annealed)
    return problem.loss({"latent": latents}, estimator, key, images)


def study(scale: str) -> Figure:
    """Return the study of the refinement of MNIST's first test images."""
    smoke = scale == "smoke"
    images, steps = (20, 100) if smoke else (100, 1000)
    problem = Rounding(images=images)
    tasks = {NEAREST: functools.partial(_unrefined, problem)}
    objectives: dict[str, Objective] = {IDENTITY: _identity, NOISE: _noise}
    for name, estimator in _ESTIMATORS.items():
        if not smoke or name in _IN_SMOKE:
            objectives[name] = functools.partial(_of_bits, estimator)
    for name, objective in objectives.items():
        # An evaluation of all 1,024 roundings in each step takes as long as 300 of the others.
        rates = _RATES[1:2] if name == _ALL else _RATES
        tasks[name] = functools.partial(_refined, problem, name, objective, rates, steps)
    return figure_study(
        "rounding",
        "Refining latent vectors before they are rounded (Yang et al. 2020)",
        "rounding",
        {"problem": str(problem), "steps": steps, "rates": list(_RATES)},
        tasks,
        PREDICTIONS,
    )


def temperature(step: jax.Array, steps: int) -> jax.Array:
    """Return the temperature at a step: Yang et al.'s of 2,000 steps, over `steps`."""
    return 0.5 * jnp.minimum(1.0, jnp.exp(-2 * step / steps + 0.7))


def refine(
    problem: Rounding, objective: Objective, steps: int, rate: jax.Array | float
) -> jax.Array:
    """Return latent vectors `[11, images, D]` at every tenth of the steps of Adam."""
    import optax

    images, optimiser = problem.data(), Adam().make(rate)

    def step(state, pair):
        latents, moments = state
        number, key = pair
        annealed = dataclasses.replace(problem, temperature=temperature(number, steps))
        slope = jax.grad(lambda y: objective(annealed, y, key, images))(latents)
        # Of the sum over images, which do not depend on each other.
        update, moments = optimiser.update(slope * len(images), moments)
        return (optax.apply_updates(latents, update), moments), None

    def tenth(state: Any, pairs: Any) -> tuple[Any, jax.Array]:
        state, _ = jax.lax.scan(step, state, pairs)
        return state, state[0]

    start: jax.Array = problem.initial(jax.random.key(0))["latent"]
    numbers = jnp.arange(steps).reshape(10, -1)
    keys = jax.random.split(jax.random.key(1), numbers.shape)
    _, found = jax.lax.scan(tenth, (start, optimiser.init(start)), (numbers, keys))
    return jnp.append(start[None], found, axis=0)


@functools.lru_cache(maxsize=2)
def _least(problem: Rounding) -> np.ndarray:
    """Return the least cost of the roundings of the encoder's latent vectors, `[images]`."""
    latents = problem.initial(jax.random.key(0))["latent"]
    return np.asarray(jax.jit(problem.best)(latents, problem.data()), float)


def gaps(problem: Rounding, latents: jax.Array) -> np.ndarray:
    """Return by how many bits nearest integers cost more than the encoder's best rounding."""
    cost = jax.jit(jax.vmap(problem.f))(jnp.round(latents), problem.data())
    return np.asarray(cost, float) - _least(problem)


def _unrefined(problem: Rounding, advance: Callable[[float], None]) -> list[Row]:
    """Return the gaps of the encoder's latent vectors, each rounded to the nearest integers."""
    found = gaps(problem, problem.initial(jax.random.key(0))["latent"])
    shared = {"problem": str(problem), "name": NEAREST, "metric": _METRIC, "step": 0}
    return [shared | {"number": place, "value": gap} for place, gap in enumerate(found)]


def _refined(
    problem: Rounding,
    name: str,
    objective: Objective,
    rates: Sequence[float],
    steps: int,
    advance: Callable[[float], None],
) -> list[Row]:
    """Return mean gaps during refinement, and each image's at the end."""
    shared = {"problem": str(problem), "name": name, "metric": _METRIC, "steps": steps}
    if name in _ESTIMATORS:
        shared |= estimator_columns(_ESTIMATORS[name])
    run = jax.jit(functools.partial(refine, problem, objective, steps))
    rows: list[Row] = []
    for place, rate in enumerate(rates):
        latents = run(rate)
        for tenth, each in enumerate(latents):
            found = gaps(problem, each)
            own = shared | {"learning_rate": rate, "step": tenth * steps // 10}
            rows.append(own | sample_mean(found).interval())
            if tenth == 10:
                rows += [own | {"number": n, "value": gap} for n, gap in enumerate(found)]
        advance((place + 1) / len(rates))
    return rows


def _ends(rows: Sequence[Row], name: str, rate: float | None = None) -> np.ndarray:
    """Return each image's gap in the end, by default at the rate of the least mean."""
    found: dict[float, list[float]] = {}
    for row in rows:
        if row.get("name") == name and row.get("number") is not None:
            found.setdefault(row.get("learning_rate", 0.0), []).append(row["value"])
    chosen = [np.array(one) for key, one in found.items() if rate in (None, key)]
    return min(chosen, key=np.mean) if chosen else np.array([])


def _less(name: str, other: str) -> Of:
    """Return the mean over images of a gap less another."""

    def of(rows: Sequence[Row]) -> Estimate:
        one, two = _ends(rows, name), _ends(rows, other)
        return sample_mean(one - two) if len(one) and len(two) else UNKNOWN

    return of


def _alone(name: str) -> Of:
    """Return the mean gap over images."""

    def of(rows: Sequence[Row]) -> Estimate:
        found = _ends(rows, name)
        return sample_mean(found) if len(found) else UNKNOWN

    return of


def _small_steps(rows: Sequence[Row]) -> Estimate:
    """Return straight-through rounding's gap at the smallest rate, less that at the largest."""
    small, large = (_ends(rows, IDENTITY, rate) for rate in (_RATES[0], _RATES[-1]))
    return sample_mean(small - large) if len(small) and len(large) else UNKNOWN


_YANG = "Yang et al. 2020"

PREDICTIONS = (
    *(
        Prediction(f"{SGA} ends with fewer bits than {other}", _YANG, _less(SGA, other), high=0.0)
        for other in (DETERMINISTIC, NOISE, IDENTITY)
    ),
    Prediction(
        "straight-through rounding needs a small step: 0.001 is better than 0.02",
        f"{_YANG}, code",
        _small_steps,
        high=0.0,
    ),
    Prediction(
        "DisARM on the bits ends with fewer bits than nearest integers",
        "ours",
        _less("DisARM", NEAREST),
        high=0.0,
    ),
    Prediction(
        "refining crosses integers: annealing beats the best of all roundings of the start",
        "ours",
        _alone(SGA),
        high=0.0,
    ),
)
"""What the paper and we expected before the first run at full size."""
