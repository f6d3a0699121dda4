"""Tuning: the optimiser of an estimator's own leaves, alone at frozen parameters or in a run."""

import dataclasses
from typing import Any

import jax
import optax

from estimators import Estimator
from experiments.problems.problem import Params, Problem


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


def tuner(
    estimator: Estimator, learning_rate: Any = 1e-2, b2: float = 0.999
) -> optax.GradientTransformation:
    """Return the optimiser of an estimator's own leaves.

    Moving averages take plain gradient descent at rate 1 - decay, which makes them just that; all
    else takes Adam. Hyperparameters that are not learned have zero gradients and stay.

    Args:
        estimator: the estimator; only its structure and its decays count.
        learning_rate: Adam's; may be traced.
        b2: Adam's decay of the squares.
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
        {"average": optax.stateless(descend), "learned": optax.adam(learning_rate, b2=b2)}, labels
    )


def _field(part: Any, path: tuple) -> tuple[Any, dataclasses.Field]:
    """Return the part and the field of it that a leaf's path leads through last."""
    first, *rest = path
    inner = getattr(part, first.name)
    if rest and dataclasses.is_dataclass(inner):
        return _field(inner, tuple(rest))
    return part, next(field for field in dataclasses.fields(part) if field.name == first.name)
