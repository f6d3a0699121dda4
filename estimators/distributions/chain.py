"""Several layers of discrete variables as one distribution over paths."""

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.distribution import Discrete, Distribution
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count


@pytree
class Chain(Distribution):
    r"""Paths through several layers: $q(z_1) \, q(z_2 \mid z_1) \cdots q(z_L \mid z_{L-1})$.

    For multi-sample bounds over several layers, each sample of which is one joint path (Mnih and
    Rezende 2016): `estimator(key, chain.independent(m), ImportanceBound(log_weight))`. The event is
    the concatenation of the layers on the first axis. For a single sample, nest calls of the
    estimator instead.

    Args:
        first: the distribution of $z_1$.
        parameters: a pytree of differentiable parameters of the conditionals.
        conditionals: functions `(parameters, sample of the layer before) -> distribution`, one for
            each further layer, of the type of `first`.
        num_copies: number of independent copies, see `independent`; 0 for a single path.
    """

    first: Discrete
    parameters: Any
    conditionals: tuple[Callable[[Any, jax.Array], Discrete], ...] = static()
    num_copies: int = static(default=0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the first layer's logits, and so of the others."""
        return self.first.dtype

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one path, or `[copies, ...]` for independent copies."""
        length = sum(layer.event_shape[0] for layer in self._shapes())
        path = (length, *self.first.event_shape[1:])
        return (self.num_copies, *path) if self.num_copies else path

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one path, or one for each copy; `key` is consumed."""
        if self.num_copies:
            return jax.vmap(self._one().sample)(jax.random.split(key, self.num_copies))
        keys = jax.random.split(key, 1 + len(self.conditionals))
        samples = [self.first.sample(keys[0])]
        for key, conditional in zip(keys[1:], self.conditionals, strict=True):
            samples.append(conditional(self.parameters, samples[-1]).sample(key))
        return jnp.concatenate(samples)

    def given(self, sample: jax.Array) -> Discrete:
        """Return the layers along a path as one distribution of independent variables."""
        if self.num_copies:
            return jax.vmap(self._one().given)(sample)
        layers = self._layers(sample)
        return self.first.with_logits(jnp.concatenate([layer.logits for layer in layers]))

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the log-probability of a path, or of all copies together, in nats."""
        return self.given(sample).log_prob(sample)

    def state(self, index: jax.Array) -> jax.Array:
        """Return path number `index`, or a combination of paths."""
        return self._flat().state(index)

    def states(self) -> jax.Array:
        """Return all paths, or combinations of paths, `[num_states, *event_shape]`."""
        return self._flat().states()

    @property
    def num_states(self) -> int:
        """Number of paths, or of combinations of paths."""
        return self._flat().num_states

    def too_large(self) -> str | None:
        """Return a message if there are too many states to enumerate, else None."""
        return self._flat().too_large()

    def independent(self, num_copies: int) -> Self:
        """Return independent paths as one distribution with event `[num_copies, *event]`."""
        check_count("num_copies", num_copies, 1)
        return dataclasses.replace(self, num_copies=num_copies)

    def check(self) -> None:
        """Raise if the first layer's logits are invalid, or the layers differ in type."""
        self.first.check()
        kinds = {(type(layer), layer.event_shape[1:]) for layer in self._shapes()}
        if len(kinds) > 1:
            raise ValueError("the layers of a Chain must be of one type")

    def _one(self) -> "Chain":
        return dataclasses.replace(self, num_copies=0)

    def _flat(self) -> Discrete:
        """Return independent variables that take the same values as the paths."""
        return self.first.with_logits(jnp.zeros(self.event_shape, self.dtype))

    def _layers(self, path: jax.Array) -> list[Discrete]:
        """Return every layer's distribution along a path."""
        layers, start = [self.first], 0
        for conditional in self.conditionals:
            end = start + layers[-1].event_shape[0]
            layers.append(conditional(self.parameters, path[start:end]))
            start = end
        return layers

    def _shapes(self) -> list[Discrete]:
        """Return the layers, with logits replaced by their shapes."""

        def layers() -> list[Discrete]:
            found = [self.first]
            for conditional in self.conditionals:
                below = jnp.zeros(found[-1].event_shape, self.dtype)
                found.append(conditional(self.parameters, below))
            return found

        return jax.eval_shape(layers)
