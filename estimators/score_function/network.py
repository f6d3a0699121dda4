"""A small network in plain JAX, for learned baselines and control variates."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Distribution
from estimators.core.noise import normal
from estimators.core.part import Part
from estimators.core.products import dot
from estimators.core.pytree import learned, pytree, static
from estimators.core.validation import Misfit, check_count


@pytree
class MLP(Part):
    r"""A network with one hidden layer and a scalar output, $w \cdot \tanh(W x + b) + c$.

    The output weights are initialised to zero, so that the untrained network is zero.

    Args:
        hidden: number of hidden units.
        layers: learned weights, made by `initialise`.
        context: how many numbers of f's context (`with_context`) are inputs besides the others.
    """

    hidden: int = static(default=100)
    layers: Mapping[str, jax.Array] | None = learned(default=None)
    context: int = static(default=0)

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Return a copy with weights for the parameters of `distribution`; `key` is consumed."""
        inputs = flat_parameters(distribution)
        size = inputs.size + self.context
        scale = 1 / math.sqrt(max(size, 1))
        layers = {
            "weight": scale * normal(key, (size, self.hidden), inputs.dtype),
            "bias": jnp.zeros(self.hidden, inputs.dtype),
            "out": jnp.zeros(self.hidden, inputs.dtype),
            "out_bias": jnp.zeros((), inputs.dtype),
        }
        return dataclasses.replace(self, layers=layers)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Return the scalar output for a vector of inputs, with f's context at its end.

        A network without context ignores it.

        Raises:
            ValueError: if the network has no weights yet, or f lacks the context that it takes.
        """
        if self.layers is None:
            raise ValueError(
                "the network has no weights yet: call estimator.initialise(key, distribution) first"
            )
        layers = self.layers
        size = len(layers["weight"])
        if len(inputs) < size:
            raise Misfit(
                f"the network takes {size} inputs, {self.context} of them the context of f, but "
                f"got {len(inputs)}: see estimators.with_context"
            )
        return (
            dot(layers["out"], jnp.tanh(dot(inputs[:size], layers["weight"]) + layers["bias"]))
            + layers["out_bias"]
        )

    def check(self) -> None:
        """Raise if the number of hidden units or of the context's numbers is out of range."""
        check_count("hidden", self.hidden, 1)
        check_count("context", self.context, 0)


def flat_parameters(distribution: Distribution) -> jax.Array:
    """Return the stopped parameters of a distribution as one vector."""
    leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves(distribution)]
    return jax.lax.stop_gradient(jnp.concatenate(leaves))
