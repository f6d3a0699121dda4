"""Base class of problems whose sample is a sequence: one call a step, or one of whole sequences."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from estimators import Autoregressive, Categorical, Distribution, Estimator
from experiments.problems.problem import Params, Problem


class SequentialProblem(Problem):
    """A problem of sequences of dependent Categorical variables.

    An estimator with one evaluation of f is called once a step, nested (`estimators.sequence`);
    another draws whole sequences (`Autoregressive`).
    """

    whose: ClassVar[str] = "step"  # what a step draws, for messages
    batch_size: int

    @property
    @abc.abstractmethod
    def num_classes(self) -> int:
        """The number of classes of a step."""

    @property
    def step_shape(self) -> tuple[int, ...]:
        """The shape of the logits of a step: those of a single variable."""
        return (self.num_classes,)

    @abc.abstractmethod
    def sequences(self, params: Params, batch: Any) -> Autoregressive:
        """Return the distribution of one whole sequence."""

    def is_nested(self, estimator: Estimator) -> bool:
        """Return whether each step is a call of the estimator, which evaluates f once."""
        one = Categorical(jnp.zeros(self.step_shape))
        return estimator.refusal(one) is None and estimator.evaluations(one) == 1

    def mean(self, one: Callable[..., jax.Array], key: jax.Array, *each: Any) -> jax.Array:
        """Return the mean over the sequences of a minibatch, each with its own noise."""
        return jax.vmap(one)(jax.random.split(key, self.batch_size), *each).mean()

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit: several evaluations, and not of whole sequences."""
        if estimator.needs_bound or self.is_nested(estimator):
            return super().refusal(estimator, distribution)
        reason = estimator.refusal(self._any())
        return reason and f"{reason}, and evaluates f more than once a {self.whose}"

    def instead(self, estimator: Estimator, distribution: Distribution) -> str:
        """Return which estimators of whole sequences fit instead of one that does not."""
        return estimator.instead(self._any())

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the number of sequences that one gradient takes."""
        return 1 if self.is_nested(estimator) else estimator.evaluations(self._any())

    def _any(self) -> Autoregressive:
        """Return a distribution of sequences, to ask estimators about."""

        def made(key: jax.Array) -> tuple[Params, Any]:
            return self.initial(key), self.batch(key, self.data())

        shapes = jax.eval_shape(made, jax.random.key(0))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return self.sequences(*zeros)
