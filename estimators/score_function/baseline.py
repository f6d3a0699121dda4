"""The contract of baselines: what is subtracted from what multiplies the score."""

import abc
from typing import Any, Literal

import jax
import jax.numpy as jnp

from estimators.core.part import Part
from estimators.core.pytree import pytree


class Baseline(Part, abc.ABC):
    """A baseline: turns the values of f into the learning signal that multiplies the score.

    Baselines see values of f and the stopped parameters of the distribution, never live ones: a
    live logit in a baseline biases the gradient.
    """

    paper: Any
    """Key of its source in `estimators.BIBLIOGRAPHY`."""

    @abc.abstractmethod
    def num_evaluations(self) -> int:
        """Return the number of samples, and so of evaluations of f, that one gradient takes."""

    @property
    def unbiased(self) -> Literal["yes", "up to scale"]:
        """Whether the signal keeps the gradient unbiased, or only its direction on average."""
        return "yes"

    @abc.abstractmethod
    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the `[n]` learning signals of the `[n]` values of f.

        Args:
            values: f at each sample, stopped.
            parameters: the distribution's parameters as one vector, stopped.
        """

    def scale(self) -> Any:
        """Return what the signal was multiplied by, to multiply what is added to the score by."""
        return 1.0

    def tuning(self, values: jax.Array, parameters: jax.Array) -> Any:
        """Return the gradient of the baseline's own objective, shaped like the baseline.

        Zero for a baseline that learns nothing.
        """
        del values, parameters
        return jax.tree.map(jnp.zeros_like, self)


@pytree
class Zero(Baseline):
    """No baseline: the signal is f."""

    paper = "williams1992"

    def num_evaluations(self) -> int:
        """One."""
        return 1

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the values themselves."""
        del parameters
        return values


def given(baseline: Baseline | None) -> Baseline:
    """Return the baseline of an estimator's field, where None is none."""
    return Zero() if baseline is None else baseline


def check_baseline(baseline: Any) -> None:
    """Raise where a field holds no baseline, or one whose hyperparameter is out of range."""
    if not isinstance(given(baseline), Baseline):
        raise TypeError(f"baseline must be a baseline or None, not {baseline!r}")
    given(baseline).check()
