"""One training run: a pure function under `lax.scan`."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Estimator, frozen
from experiments.optimisers import Adam, Optimiser, Rate
from experiments.problems.problem import Params, Problem, Turn
from experiments.training.pace import Pace
from experiments.training.schedules import Schedule
from experiments.training.tuning import tuner

if TYPE_CHECKING:
    import optax

LONGEST = 1024
"""Maximum steps per call of a compiled program, which serves all smaller numbers of steps."""

RATE = "learning_rate"
"""The schedule of this name multiplies the learning rate; others set the estimator's fields."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of training that all runs of a batch share.

    Attributes:
        problem: the objective.
        optimiser: the optimiser of the model's parameters.
        schedules: schedules by field of the estimator, or `learning_rate` as a factor of the rate.
        tuned: whether the estimator's own leaves learn.
        tuning_rate: the rate of their Adam; None for the published one.
    """

    problem: Problem
    optimiser: Optimiser = Adam()
    schedules: tuple[tuple[str, Schedule], ...] = ()
    tuned: bool = True
    tuning_rate: float | None = None


class Run(NamedTuple):
    """Settings that differ between the runs of a batch, in addition to estimator leaves.

    Attributes:
        seed: seed of all randomness of the run.
        rate: the model's learning rate.
    """

    seed: Any
    rate: Any


class State(NamedTuple):
    """State of a run.

    Attributes:
        step: steps done.
        params: the model's parameters.
        estimator: the estimator, with its learned leaves.
        optimisers: states of the optimisers of the model, one for each of the problem's losses, and
            of the estimator's leaves.
        diverged: the first step whose loss was not finite, -1 until then.
    """

    step: Any
    params: Params
    estimator: Any
    optimisers: Any
    diverged: Any


def start(recipe: Recipe, run: Run, estimator: Estimator, data: Any) -> State:
    """Return the initial state of a run: parameters, and the initialised estimator."""
    initial, networks, batch = jax.random.split(_key(run, 0), 3)
    params = recipe.problem.initial(initial)
    distribution = recipe.problem.distribution(params, recipe.problem.batch(batch, data))
    estimator = estimator.initialise(networks, distribution)
    return resume(recipe, run, params, estimator)


def resume(recipe: Recipe, run: Run, params: Params, estimator: Estimator) -> State:
    """Return the initial state of a run at given parameters, with an initialised estimator."""
    *models, leaves = _optimisers(recipe, run, estimator)
    parts = (_chosen(turn, params) for turn in recipe.problem.turns)
    states = [optimiser.init(part) for optimiser, part in zip(models, parts, strict=True)]
    states.append(leaves.init(estimator))  # pyright: ignore[reportArgumentType]
    return State(jnp.int32(0), params, estimator, tuple(states), jnp.int32(-1))


def advance(
    recipe: Recipe, run: Run, state: State, data: Any, num_steps: Any, most: int | None = None
) -> tuple[State, jax.Array]:
    """Train for a number of steps, each with its own minibatch and noise.

    The result does not depend on how the steps are divided among calls.

    Args:
        recipe: settings of training.
        run: the seed and the learning rate.
        state: the current state.
        data: the result of `problem.data()`.
        num_steps: number of steps; it may be traced if `most` is given.
        most: maximum number of steps; one program then serves all smaller numbers.

    Returns:
        The new state, and the loss estimate before each step, `[num_steps]`, or `[most]`, whose
        first `num_steps` entries are valid.
    """
    problem = recipe.problem
    *models, leaves = _optimisers(recipe, run, state.estimator)
    schedules = [(name, schedule.make()) for name, schedule in recipe.schedules if name != RATE]

    def update(number: int, key: jax.Array, params: Params, optimiser: Any, estimator: Any):
        """Descend one of the losses; return its value, and the slope of the estimator."""
        turn, learns = problem.turns[number], recipe.tuned and number == 0
        batch_key, noise_key = jax.random.split(key)
        batch = problem.batch(batch_key, data)

        def loss(part, estimator):
            estimator = estimator if learns else jax.lax.stop_gradient(estimator)
            return turn.loss(_joined(turn, params, part), estimator, noise_key, batch)

        part = _chosen(turn, params)
        with contextlib.nullcontext() if learns else frozen():
            value, (slope, own) = jax.value_and_grad(loss, (0, 1))(part, estimator)
        part, optimiser = _descend(models[number], slope, optimiser, part)
        return value, own, _joined(turn, params, part), optimiser

    def step(state: State, _):
        values = {name: schedule(state.step) for name, schedule in schedules}
        scheduled: Any = dataclasses.replace(state.estimator, **values)
        *states, tuned = state.optimisers
        params, estimator = state.params, scheduled
        reported: list[jax.Array] = []
        for number, turn in enumerate(problem.turns):
            for again in range(turn.updates):
                key = _key(run, 1 + state.step)
                if number or again:
                    key = jax.random.fold_in(jax.random.fold_in(key, number), again)
                value, own, params, states[number] = update(
                    number, key, params, states[number], estimator
                )
                if number == 0:
                    reported.append(value)
                    estimator, tuned = _descend(leaves, own, tuned, estimator)
        value = reported[-1]
        fails = (state.diverged < 0) & ~jnp.isfinite(value)
        diverged = jnp.where(fails, state.step, state.diverged)
        return State(state.step + 1, params, estimator, (*states, tuned), diverged), value

    if most is None:
        return jax.lax.scan(step, state, length=num_steps)

    def body(i, carry):
        state, losses = carry
        state, value = step(state, None)
        return state, jax.lax.dynamic_update_index_in_dim(losses, value, i, 0)

    value = jax.eval_shape(step, state, None)[1]
    return jax.lax.fori_loop(0, num_steps, body, (state, jnp.zeros(most, value.dtype)))


def train(
    key: jax.Array,
    problem: Problem,
    params: Params,
    estimator: Estimator,
    data: Any,
    num_steps: int,
    learning_rate: float = 1e-3,
    *,
    tuned: bool = True,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[Params, Estimator, np.ndarray]:
    """Train a problem's parameters by Adam, and the estimator's leaves by the same backward passes.

    Steps are compiled and run in chunks; signals are checked between chunks.

    Args:
        key: a typed random key, consumed.
        problem: the objective.
        params: initial parameters.
        estimator: the gradient estimator, already initialised (`initialise`).
        data: the result of `problem.data()`.
        num_steps: number of Adam steps, each on its own minibatch.
        learning_rate: Adam's, for the parameters.
        tuned: whether the estimator's own leaves learn.
        progress: called with the fraction done after every chunk but the last.

    Returns:
        Final parameters, the estimator with its learned leaves, and the loss estimate of every
        step.

    Raises:
        Interrupted: if a signal asked the process to end.
    """
    recipe = Recipe(problem, tuned=tuned)
    run = Run(jax.random.bits(key, dtype="uint32"), learning_rate)
    state, losses = resume(recipe, run, params, estimator), []

    @jax.jit
    def trained(state, data, number):
        return advance(recipe, run, state, data, number, LONGEST)

    for first, last in Pace(LONGEST).chunks(num_steps):
        state, some = jax.block_until_ready(trained(state, data, np.int32(last - first)))
        losses.append(np.asarray(some)[: last - first])
        if last < num_steps:
            progress(last / num_steps)
    return state.params, state.estimator, np.concatenate(losses)


def _key(run: Run, number: Any) -> jax.Array:
    """Return the key of a step of a run; number 0 is for its initial state."""
    return jax.random.fold_in(jax.random.key(run.seed), number)


def _chosen(turn: Turn, params: Params) -> Params:
    """Return the parameters that a loss trains."""
    return {name: params[name] for name in turn.groups} if turn.groups else params


def _joined(turn: Turn, params: Params, part: Any) -> Params:
    """Return the parameters with those that a loss trains replaced."""
    return params | part if turn.groups else part


def _optimisers(recipe: Recipe, run: Run, estimator: Estimator):
    """Return the optimisers of the parameters, by loss, and that of the estimator's own leaves."""
    schedule = dict(recipe.schedules).get(RATE)
    factor = schedule and schedule.make()

    def rate(turn: Turn) -> Rate:
        own = run.rate if turn.rate == 1 else turn.rate * run.rate
        return (lambda step, factor=factor: own * factor(step)) if factor else own

    own = estimator.tuning.rate * (run.rate if estimator.tuning.is_relative else 1)
    tuned = own if recipe.tuning_rate is None else recipe.tuning_rate
    leaves = tuner(estimator, tuned, estimator.tuning.b2)
    turns = recipe.problem.turns
    return (*((turn.optimiser or recipe.optimiser).make(rate(turn)) for turn in turns), leaves)


def _descend(optimiser: "optax.GradientTransformation", slope: Any, state: Any, value: Any):
    """Return a pytree and the optimiser's state after one step."""
    import optax

    update, state = optimiser.update(slope, state, value)
    return optax.apply_updates(value, update), state
