"""Sequences of dependent variables as one distribution over whole sequences."""

from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.distribution import Discrete, Enumerable
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count


@pytree
class Autoregressive(Enumerable):
    r"""Whole sequences: $\prod_t q(z_t \mid s_t)$ with $s_{t+1} = \mathrm{advance}(s_t, z_t)$.

    For estimators that take whole sequences as samples, such as the score function with
    `LeaveOneOut` over several of them, and for enumeration; with one evaluation of f, `sequence`
    credits every step with its own costs to go. The event is `[length, *event of one step]`.

    Args:
        parameters: a pytree of floating-point arrays, on which all that follows depends.
        start: a function of the parameters that returns the first state, a pytree of arrays.
        conditional: a function `(parameters, state) -> distribution` of a step, Bernoulli or
            Categorical.
        advance: a function `(parameters, state, sample) -> state`.
        length: the number of steps.
    """

    parameters: Any
    start: Callable[[Any], Any] = static()
    conditional: Callable[[Any, Any], Discrete] = static()
    advance: Callable[[Any, Any, jax.Array], Any] = static()
    length: int = static()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the logits."""
        return self._step().dtype

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sequence: that of a step's sample, with steps along the first axis."""
        return (self.length, *self._step().event_shape)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sequence; `key` is consumed."""
        parameters = jax.lax.stop_gradient(self.parameters)

        def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            sample = self.conditional(parameters, state).sample(key)
            return self.advance(parameters, state, sample), sample

        keys = jax.random.split(key, self.length)
        _, samples = jax.lax.scan(step, self.start(parameters), keys)
        return jax.lax.stop_gradient(samples)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the log-probability of a sequence in nats."""

        def step(state: Any, sample: jax.Array) -> tuple[Any, jax.Array]:
            found = self.conditional(self.parameters, state).canonical().log_prob(sample)
            return self.advance(self.parameters, state, sample), found

        _, found = jax.lax.scan(step, self.start(self.parameters), sample)
        return found.sum()

    @property
    def num_states(self) -> int:
        """Number of sequences."""
        return self._flat().num_states

    def state(self, index: jax.Array) -> jax.Array:
        """Return sequence number `index` in lexicographic order."""
        return self._flat().state(index)

    def too_large(self) -> str | None:
        """Return a message if there are too many sequences to enumerate, else None."""
        return self._flat().too_large()

    def independent(self, num_copies: int) -> Self:
        """Raise: several sequences are several samples, as those of `LeaveOneOut`."""
        raise ValueError("independent copies of an Autoregressive distribution are not supported")

    def check(self) -> None:
        """Raise if the length is no count, or the first step's distribution is invalid."""
        check_count("Autoregressive length", self.length, 1)
        self.conditional(self.parameters, self.start(self.parameters)).check()

    def _step(self) -> Discrete:
        """Return the distribution of the first step, with logits replaced by their shape."""
        return jax.eval_shape(
            lambda: self.conditional(self.parameters, self.start(self.parameters))
        )

    def _flat(self) -> Discrete:
        """Return independent variables that take the same values as the sequences."""
        step = self._step()
        return step.with_logits(jnp.zeros((self.length, *step.event_shape), step.dtype))
