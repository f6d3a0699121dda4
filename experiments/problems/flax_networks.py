"""Networks as flax nnx modules; imported when a network is built, since importing flax is slow."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


class FeedForward(nnx.Module):
    """Dense layers with a nonlinearity between them: `sizes[0] -> ... -> sizes[-1]`."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        activation: Callable,
        linear: Callable[..., nnx.Linear] = nnx.Linear,
        *,
        rngs: nnx.Rngs,
    ):
        """Make the layers, each by `linear`; two sizes make one linear map."""
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = nnx.List([linear(a, b, rngs=rngs) for a, b in pairs])
        self.activation = activation

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[..., sizes[0]]` to `[..., sizes[-1]]`."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)


def _torch_linear(inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """Return a layer with PyTorch's default: weights and biases uniform, to inputs^(-1/2)."""
    most = inputs**-0.5

    def uniform(key, shape, dtype):
        return jax.random.uniform(key, shape, dtype, -most, most)

    return nnx.Linear(inputs, outputs, kernel_init=uniform, bias_init=uniform, rngs=rngs)


LINEAR: dict[str, Callable[..., nnx.Linear]] = {"lecun": nnx.Linear, "torch": _torch_linear}
"""Makers of a linear layer, by initialisation."""


class Recurrent(nnx.Module):
    """A gated recurrent unit with a linear output: `(units, input) -> (units, output)`."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        """Make the cell and its output layer."""
        self.cell = nnx.GRUCell(inputs, hidden, rngs=rngs)
        self.output = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Return the units after an input, and the output there."""
        units, x = state
        units, _ = self.cell(units, x)
        return units, self.output(units)


def pure(build: Callable[..., Any]) -> tuple[Callable, Callable]:
    """Return a flax module as two pure functions, `initial(key) -> params`, `apply(params, x)`.

    Args:
        build: `build(rngs=...)` makes the module; its only state is its parameters.
    """

    def make(rngs: nnx.Rngs) -> Any:
        return build(rngs=rngs)

    graph, shapes = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param)

    def initial(key: jax.Array) -> Any:
        return nnx.to_pure_dict(nnx.state(make(nnx.Rngs(params=key)), nnx.Param))

    def apply(params: Any, x: Any) -> Any:
        state = jax.tree.map(lambda leaf: leaf, shapes)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)(x)

    return initial, apply
