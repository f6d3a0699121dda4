"""Training: one pure function under `lax.scan`, for the model and for an estimator's own leaves."""

import dataclasses
from typing import Any

import jax
import optax

from estimators import Estimator
from experiments.problems.problem import Params, Problem


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
) -> tuple[Params, Estimator, jax.Array]:
    """Train a problem's parameters, and the estimator's leaves by the same backward passes.

    Args:
        key: a typed random key, consumed.
        problem: the objective.
        params: initial parameters.
        estimator: estimates the gradient; give it its networks first (`initialise`).
        data: what `problem.data()` returned.
        num_steps: number of Adam steps, each on a minibatch of its own.
        learning_rate: Adam's, for the parameters.
        tuned: whether the estimator's own leaves learn.

    Returns:
        Final parameters, the estimator with its learned leaves, and the loss estimate of every
        step.
    """
    model_optimiser, leaf_optimiser = optax.adam(learning_rate), tuner(estimator)
    # To optax's types a model is an array; to ours it is a pytree.
    model: Any = params
    leaves: Any = estimator

    def step(state, key):
        params, estimator, model_state, leaf_state = state
        batch_key, noise_key = jax.random.split(key)
        batch = problem.batch(batch_key, data)

        def loss(params, estimator):
            estimator = estimator if tuned else jax.lax.stop_gradient(estimator)
            return problem.loss(params, estimator, noise_key, batch)

        value, (slope, leaf_slope) = jax.value_and_grad(loss, (0, 1))(params, estimator)
        update, model_state = model_optimiser.update(slope, model_state)
        leaf_update, leaf_state = leaf_optimiser.update(leaf_slope, leaf_state)
        params = optax.apply_updates(params, update)
        estimator = optax.apply_updates(estimator, leaf_update)
        return (params, estimator, model_state, leaf_state), value

    state = model, leaves, model_optimiser.init(model), leaf_optimiser.init(leaves)
    final: Any
    final, losses = jax.lax.scan(step, state, jax.random.split(key, num_steps))
    return final[0], final[1], losses


def tune(
    key: jax.Array,
    problem: Problem,
    params: Params,
    estimator: Estimator,
    batch: Any,
    num_steps: int,
) -> Estimator:
    """Bring an estimator's learned leaves to frozen parameters and a fixed minibatch.

    Args:
        key: a typed random key, consumed; not one that measures.
        problem: the objective.
        params: the parameters, which stay as they are.
        estimator: the estimator, with its networks.
        batch: the minibatch.
        num_steps: number of steps.

    Returns:
        The estimator with its leaves tuned.
    """
    optimiser = tuner(estimator)
    leaves: Any = estimator  # to optax's types, an array

    def step(state, key):
        estimator, optimiser_state = state
        slope = jax.grad(problem.loss, 1)(params, estimator, key, batch)
        update, optimiser_state = optimiser.update(slope, optimiser_state)
        return (optax.apply_updates(estimator, update), optimiser_state), None

    state = leaves, optimiser.init(leaves)
    final: Any = jax.lax.scan(step, state, jax.random.split(key, num_steps))[0]
    return final[0]


def is_tuned(estimator: Estimator) -> bool:
    """Say whether an estimator has leaves that learn."""
    fields = (_field(estimator, path) for path, _ in jax.tree.leaves_with_path(estimator))
    return any(field.metadata.keys() & {"average", "learned", "tuned"} for _, field in fields)


def tuner(estimator: Estimator, learning_rate: float = 1e-2) -> optax.GradientTransformation:
    """Return the optimiser of an estimator's own leaves.

    Moving averages take plain gradient descent at rate 1 - decay, which makes them just that; all
    else takes Adam. Hyperparameters that are not learned have zero gradients and stay.

    Args:
        estimator: the estimator; only its structure and its decays count.
        learning_rate: Adam's.
    """

    def label(path, _):
        _, field = _field(estimator, path)
        return "average" if "average" in field.metadata else "learned"

    # As a function: labels shaped like an estimator are callable, so optax would call them.
    def labels(leaves):
        return jax.tree.map_with_path(label, leaves)

    def descend(updates, params=None):
        del params

        def scale(path, slope):
            owner, _ = _field(estimator, path)
            return (owner.decay - 1) * slope

        return jax.tree.map_with_path(scale, updates)

    return optax.partition(
        {"average": optax.stateless(descend), "learned": optax.adam(learning_rate)}, labels
    )


def _field(part: Any, path: tuple) -> tuple[Any, dataclasses.Field]:
    """Return the part and the field of it that a leaf's path leads through last."""
    first, *rest = path
    inner = getattr(part, first.name)
    if rest and dataclasses.is_dataclass(inner):
        return _field(inner, tuple(rest))
    return part, next(field for field in dataclasses.fields(part) if field.name == first.name)
