"""Dense networks of the problems as pure functions, and the settings that name them."""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    # The slope in the code of DisARM and RODEO.
    "leaky_relu": functools.partial(jax.nn.leaky_relu, negative_slope=0.3),
    # Of Hooper and Shekhovtsov 2026.
    "leaky_relu_0.2": functools.partial(jax.nn.leaky_relu, negative_slope=0.2),
}
"""The nonlinearities, by name."""

Initialisation = Literal["lecun", "torch"]


@functools.cache
def feed_forward(
    sizes: tuple[int, ...], activation: str, initialisation: Initialisation = "lecun"
) -> tuple[Callable, Callable]:
    """Return dense layers as two pure functions, `initial(key) -> params`, `apply(params, x)`.

    Args:
        sizes: the numbers of units, from input to output; two make one linear map.
        activation: a key of `ACTIVATIONS`, between the layers.
        initialisation: "lecun": weights normal with variance 1 / inputs, biases zero; "torch":
            both uniform between +- 1 / sqrt(inputs), the default of PyTorch.
    """
    from experiments.problems.flax_networks import LINEAR, FeedForward, pure

    linear = LINEAR[initialisation]
    return pure(functools.partial(FeedForward, sizes, ACTIVATIONS[activation], linear))


def hidden_sizes(text: str | int, name: str = "hidden") -> tuple[int, ...]:
    """Return the units of hidden layers from the papers' notation: "512-256", or "" for none.

    Args:
        text: the sizes.
        name: what the setting is called, for the message.

    Raises:
        ValueError: for any other text.
    """
    words = [word for word in str(text).split("-") if text != ""]
    if not all(word.isdecimal() and int(word) for word in words):
        raise ValueError(f"{name} must be sizes such as 200 or 512-256, not {text!r}")
    return tuple(map(int, words))
