"""Tuning of an estimator's own leaves at one point, until its error stops decreasing."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Baseline, Estimator
from experiments.problems import Measurable, Params, joined
from experiments.training.pace import Pace
from experiments.training.tuning import mean_of_iterates, tuner

if TYPE_CHECKING:
    import optax

TUNING_STEPS = 8000
"""Default maximum number of steps; on the default VAE all but RELAX converge within it."""

_FIRST_ROUND = 200
_LEAST = 1000
_EVALUATIONS = 128
_TOLERANCE = 0.05
# During learning, decreases shrink by at least this factor from one doubling to the next.
_SHRINKING = 0.75
_CLEAR = 0.01
# Steps and samples of a chunk: initially, and at most.
_FEW, _MANY = 32, 512


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A tuned estimator.

    Attributes:
        estimator: the estimator.
        note: a note for tables, empty if tuning converged.
    """

    estimator: Estimator
    note: str = ""


class Tuning:
    """Tunes the estimators of a problem at any parameters; compiled once for each estimator."""

    def __init__(self, problem: Measurable, held: Collection[str] = ()):
        """Prepare to tune; nothing is computed yet.

        Args:
            problem: the objective.
            held: names of learned fields that keep their values.
        """
        self.problem = problem
        self.held = held
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
        r"""Tune an estimator's learned leaves at frozen parameters and a fixed minibatch.

        Adam at rate $0.1 \min(1, \sqrt{100 / t})$, in rounds that double the number of steps; a
        round returns the mean of its iterates (for a moving average, which is bias-corrected, the
        last). After each, the squared distance of the gradient to the true one is estimated at the
        mean of the iterates and 128 samples, the same in every round and not used for tuning. For
        an estimator that is unbiased only up to scale, distances are relative to its scale.

        Tuning has converged, after 1,000 steps or more, when doubling the steps has twice in a row
        changed the distance by less than 5 % (for the last decrease, the upper end of the 95 %
        interval), and the decreases do not clearly grow.

        Args:
            key: a typed random key, consumed; not the key of a measurement.
            estimator: the estimator, with its networks.
            chosen: the parameters to differentiate with respect to.
            rest: all parameters, and the minibatch.
            truth: the true gradient, a pytree like `chosen`.
            limit: the maximum number of steps.

        Returns:
            The best round.
        """
        keys = jax.random.split(key)
        state = leaves, _ = _initial(estimator)

        def one_round(start: int, end: int) -> tuple[Estimator, np.ndarray]:
            nonlocal state
            state, mean, errors = self._advanced(keys, state, (chosen, rest, truth), start, end)
            return mean, errors

        return until_converged(one_round, leaves, limit)

    def _advanced(self, keys, state, about, start, end):
        """Return the state at step `end`, the result of the steps since `start`, and the errors."""
        carry = _carry(state)
        for first, stop in Pace(_MANY, _FEW).chunks(end - start + _EVALUATIONS):
            carry = jax.block_until_ready(self._round(keys, carry, about, start, end, first, stop))
        state, total, errors = carry
        mean = mean_of_iterates(total, state[0], end - start)
        return state, mean, np.asarray(errors, np.float64)

    def _advance(self, keys, carry, about, start, end, first, stop):
        """Return a round's carry after steps and samples `first` to `stop`."""
        import optax

        chosen, (params, batch), truth = about
        num_steps = end - start

        def loss(chosen, estimator, key):
            return self.problem.loss(joined(params, chosen), estimator, key, batch)

        def one(number, carry):
            state, total, errors = carry
            estimator, adam = state
            # One program for both steps and samples, since compilation takes most of the time.
            is_step = number < num_steps
            index = number - num_steps
            # Also for a moving average, whose noise would look like changes of the error.
            mean = jax.tree.map(lambda leaf: leaf / num_steps, total)
            at = optax.tree.where(is_step, estimator, mean)
            key = jax.random.fold_in(
                keys[jnp.where(is_step, 0, 1)], jnp.where(is_step, start + number, index)
            )
            gradient, slope = jax.grad(loss, (0, 1))(chosen, at, key)
            slope = _without(slope, self.held)
            update, changed = _optimiser(estimator, start + number).update(slope, adam)
            following = optax.apply_updates(estimator, update), changed
            state = optax.tree.where(is_step, following, state)
            total = jax.tree.map(lambda a, b: a + jnp.where(is_step, b, 0), total, state[0])
            place = jnp.where(is_step, _EVALUATIONS, index)  # out of range: dropped
            error = _distance(gradient, truth, _scale(at))
            return state, total, errors.at[place].set(error, mode="drop")

        return jax.lax.fori_loop(first, stop, one, carry)


def _initial(estimator: Estimator) -> tuple[Estimator, Any]:
    """Return the initial state: the leaves, as arrays, and their optimiser's state."""
    leaves = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), estimator)
    return leaves, _optimiser(estimator, 0).init(leaves)


def _without(slope: Any, held: Collection[str]) -> Any:
    """Return a gradient of an estimator with zeros for the fields to hold."""
    zeros: dict[str, Any] = {
        field.name: jax.tree.map(jnp.zeros_like, getattr(slope, field.name))
        for field in dataclasses.fields(slope)
        if field.name in held
    }
    return dataclasses.replace(slope, **zeros) if zeros else slope


def _carry(state: tuple[Estimator, Any]) -> tuple[Any, Any, jax.Array]:
    """Return the carry of a round that begins at a state."""
    import optax

    return state, optax.tree.zeros_like(state[0]), jnp.zeros(_EVALUATIONS)


def _optimiser(estimator: Estimator, step: Any) -> "optax.GradientTransformation":
    return tuner(estimator, lambda step: 0.1 / jnp.sqrt(jnp.maximum(1, step / 100)), step=step)


def until_converged(
    one_round: Callable[[int, int], tuple[Estimator, np.ndarray]], estimator: Estimator, limit: int
) -> Tuned:
    """Return the best of rounds that double the number of steps until their errors stop falling.

    Args:
        one_round: takes the steps from one number to another; returns the tuned estimator and its
            errors `[n]`, on the same samples in every round.
        estimator: the estimator before the first step.
        limit: the maximum number of steps.
    """
    best, least, rounds, start = estimator, math.inf, [], 0
    for end in _ends(limit):
        tuned, errors = one_round(start, end)
        rounds, start = [*rounds, errors], end
        if errors.mean() < least:
            best, least = tuned, errors.mean()
        if end >= _LEAST and have_converged(rounds):
            return Tuned(best)
    return Tuned(best, f"tuning had not converged after {limit:,} steps" if limit else "not tuned")


def _ends(limit: int) -> list[int]:
    """Return the steps at which rounds end, ascending: `limit`, half of it, and so on."""
    halves = max(limit // _FIRST_ROUND, 1).bit_length()
    return [limit >> half for half in reversed(range(halves))] if limit else []


def have_converged(rounds: Sequence[np.ndarray]) -> bool:
    """Return whether the errors `[n]` of rounds, on the same samples, have stopped decreasing."""
    if len(rounds) < 3:
        return False
    (first, noise), (second, error) = itertools.starmap(_fall, itertools.pairwise(rounds[-3:]))
    flat = max(abs(first), -second, second + error) < _TOLERANCE
    # If learning starts slowly, the first decreases are also small, but grow.
    return flat and not (first > noise and second > max(error, _CLEAR, _SHRINKING * first))


def _fall(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Return the relative decrease of the mean error, and half the width of its 95 % interval."""
    level, fallen = before.mean(), before - after
    if level == 0:
        return 0.0, 0.0
    error = 1.96 * fallen.std(ddof=1) / math.sqrt(len(fallen))
    return float(fallen.mean() / level), float(error / level)


def _scale(estimator: Estimator) -> Any:
    """Return the gradient's scale if the estimator is unbiased only up to scale; else 1."""
    parts = jax.tree.leaves(estimator, is_leaf=lambda part: isinstance(part, Baseline))
    return math.prod((part.scale() for part in parts if isinstance(part, Baseline)), start=1.0)


def _distance(gradient: Any, truth: Any, scale: Any) -> jax.Array:
    import optax

    deviation = jax.tree.map(lambda a, b: a / scale - b, gradient, truth)
    return optax.tree.norm(deviation, squared=True)
