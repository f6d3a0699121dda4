"""An estimator's own leaves, tuned at one point until its error stops falling."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from estimators import Estimator
from estimators.core.baseline import Baseline
from experiments.problems import Params, Problem
from experiments.training.tuning import mean_of_iterates, tuner

TUNING_STEPS = 8000
"""The most steps unless told: the default VAE's estimators have all converged by then."""

_FIRST_ROUND = 100
_EVALUATIONS = 128
_TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Tuned:
    """An estimator as it was tuned.

    Attributes:
        estimator: the estimator.
        note: what a table should say of it: nothing where tuning has converged.
    """

    estimator: Estimator
    note: str = ""


class Tuning:
    """Tunes the estimators of a problem, wherever its parameters are; compiled once for each."""

    def __init__(self, problem: Problem):
        """Prepare to tune; nothing is computed yet."""
        self.problem = problem
        self._round = jax.jit(self._advance)

    def __call__(
        self,
        key: jax.Array,
        estimator: Estimator,
        chosen: Params,
        rest: tuple[Params, Any],
        truth: Any,
        limit: int,
    ) -> Tuned:
        r"""Bring an estimator's learned leaves to frozen parameters and a fixed minibatch.

        Adam at rate $0.1 \min(1, \sqrt{100 / t})$, in rounds that double the number of steps; a
        round leaves the mean of its iterates (of a moving average, the last). After each, the
        squared distance of the gradient to the true one is estimated at 128 samples, the same in
        every round and none of those tuned on. Tuning has converged where twice as many steps have
        lowered it by less than 5 %, the upper end of the 95 % interval. A distance is in units of
        the estimator's scale, where it is unbiased only up to that.

        Args:
            key: a typed random key, consumed; not one that measures.
            estimator: the estimator, with its networks.
            chosen: the parameters that its gradient is with respect to.
            rest: all parameters, and the minibatch.
            truth: the true gradient, a pytree like `chosen`.
            limit: the most steps.

        Returns:
            The best of the rounds.
        """
        keys = jax.random.split(key)
        leaves = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), estimator)
        state = leaves, _optimiser(estimator).init(leaves)
        best, least, before, start = leaves, math.inf, None, 0
        for end in _ends(limit):
            state, mean, errors = self._round(keys, state, chosen, rest, truth, start, end)
            errors, start = np.asarray(errors, np.float64), end
            if errors.mean() < least:
                best, least = mean, errors.mean()
            if before is not None and _has_converged(before, errors):
                return Tuned(best)
            before = errors
        said = f"tuning had not converged after {limit:,} steps" if limit else "not tuned"
        return Tuned(best, said)

    def _advance(self, keys, state, chosen, rest, truth, start, end):
        """Return the state at step `end`, the mean since `start`, and the errors there."""
        params, batch = rest
        num_steps = end - start
        optimiser = _optimiser(state[0])

        def loss(chosen, estimator, key):
            return self.problem.loss(params | chosen, estimator, key, batch)

        def one(number, carry):
            state, total, errors = carry
            estimator, adam = state
            # One program for steps and samples, which compiling takes most of the time for.
            is_step = number < num_steps
            index = number - num_steps
            mean = mean_of_iterates(total, estimator, num_steps)
            at = jax.tree.map(lambda a, b: jnp.where(is_step, a, b), estimator, mean)
            key = jax.random.fold_in(
                keys[jnp.where(is_step, 0, 1)], jnp.where(is_step, start + number, index)
            )
            gradient, slope = jax.grad(loss, (0, 1))(chosen, at, key)
            update, changed = optimiser.update(slope, adam)
            following = optax.apply_updates(estimator, update), changed
            state = jax.tree.map(lambda a, b: jnp.where(is_step, a, b), following, state)
            total = jax.tree.map(lambda a, b: a + jnp.where(is_step, b, 0), total, state[0])
            place = jnp.where(is_step, _EVALUATIONS, index)  # out of range: dropped
            error = _distance(gradient, truth, _scale(at))
            return state, total, errors.at[place].set(error, mode="drop")

        zero = jax.tree.map(jnp.zeros_like, state[0]), jnp.zeros(_EVALUATIONS)
        state, total, errors = jax.lax.fori_loop(0, num_steps + _EVALUATIONS, one, (state, *zero))
        return state, mean_of_iterates(total, state[0], num_steps), errors


def _optimiser(estimator: Estimator) -> optax.GradientTransformation:
    return tuner(estimator, lambda step: 0.1 / jnp.sqrt(jnp.maximum(1, step / 100)))


def _ends(limit: int) -> list[int]:
    """Return the steps at which rounds end: `limit`, half of it, and so on, in ascending order."""
    halves = max(limit // _FIRST_ROUND, 1).bit_length()
    return [limit >> half for half in reversed(range(halves))] if limit else []


def _has_converged(before: np.ndarray, after: np.ndarray) -> bool:
    """Say whether the errors `[n]`, of the same samples, have stopped falling."""
    level = before.mean()
    if level == 0:
        return True
    fall = (before - after).mean() / level
    error = 1.96 * (before - after).std(ddof=1) / np.sqrt(len(after)) / level
    return bool(fall + error < _TOLERANCE)


def _scale(estimator: Estimator) -> Any:
    """Return what its gradient is multiplied by, where it is unbiased up to scale; else 1."""
    parts = jax.tree.leaves(estimator, is_leaf=lambda part: isinstance(part, Baseline))
    return math.prod((part.scale() for part in parts if isinstance(part, Baseline)), start=1.0)


def _distance(gradient: Any, truth: Any, scale: Any) -> jax.Array:
    parts = jax.tree.map(lambda a, b: jnp.sum((a / scale - b) ** 2), gradient, truth)
    return jax.tree.reduce(jnp.add, parts)
