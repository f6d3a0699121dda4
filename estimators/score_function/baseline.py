"""The abstract class of baselines."""

import abc
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from estimators.core.part import Part
from estimators.core.pytree import Scalar, pytree


class Baseline(Part, abc.ABC):
    """A baseline: maps the values of f to the learning signal that multiplies the score.

    Baselines receive values of f and stopped distribution parameters: a baseline that is
    differentiable in the logits would bias the gradient.
    """

    @abc.abstractmethod
    def num_evaluations(self) -> int:
        """Return the number of samples, and so of evaluations of f, per gradient."""

    @property
    def unbiased(self) -> Literal["yes", "no", "up to scale"]:
        """Whether the signal keeps the gradient unbiased, or unbiased up to a positive scale."""
        return "yes"

    @abc.abstractmethod
    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the `[n]` learning signals of the `[n]` values of f.

        Args:
            values: f at each sample, stopped.
            parameters: the distribution's parameters as one vector, stopped.
        """

    def scale(self) -> Scalar:
        """Return the signal's scale factor, which also scales a control variate's other term."""
        return 1.0

    def tuning(self, values: jax.Array, parameters: jax.Array) -> Self:
        """Return the gradient of the baseline's own objective, shaped like the baseline.

        Zero for a baseline that is not learned.
        """
        return jax.tree.map(jnp.zeros_like, self)


@pytree
class Zero(Baseline):
    """No baseline: the signal is f."""

    paper = "williams1992"

    def num_evaluations(self) -> int:
        """Return one."""
        return 1

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the values themselves."""
        return values


def given(baseline: Baseline | None) -> Baseline:
    """Return the baseline in an estimator's field; None stands for no baseline."""
    return Zero() if baseline is None else baseline


def check_baseline(baseline: Any) -> None:
    """Raise if a field is not None or a baseline, or has a hyperparameter out of range."""
    if not isinstance(given(baseline), Baseline):
        raise TypeError(f"baseline must be a baseline or None, not {baseline!r}")
    given(baseline).check()
