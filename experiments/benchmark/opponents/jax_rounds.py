"""Rounds of gradients in JAX: one compiled map over keys."""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

Loss = Callable[[jax.Array, jax.Array, Callable[[jax.Array], jax.Array]], jax.Array]
"""`loss(key, logits, f)`: an estimate of E f, whose gradient is that of the logits."""


def rounds(
    loss: Loss, about: Mapping[str, Any], count: int, first: int = 0
) -> Callable[[], dict[str, Any]]:
    """Return a function that draws gradients, each from a key of its own.

    Args:
        loss: the estimate.
        about: `logits`, `weights` and `centre`.
        count: gradients of a round.
        first: seed of the first round.
    """
    logits, weights = jnp.asarray(about["logits"]), jnp.asarray(about["weights"])
    seeds = itertools.count(first)

    def f(z: jax.Array) -> jax.Array:
        return (weights @ z - about["centre"]) ** 2

    @jax.jit
    def draw(key: jax.Array, logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        one = jax.value_and_grad(lambda logits, key: loss(key, logits, f))
        return jax.vmap(one, (None, 0))(logits, jax.random.split(key, count))

    def one_round() -> dict[str, Any]:
        key = jax.random.key(next(seeds))
        start = time.perf_counter()
        losses, gradients = jax.block_until_ready(draw(key, logits))
        seconds = time.perf_counter() - start
        return {
            "value": seconds / count,
            "losses": losses.tolist(),
            "gradients": gradients.tolist(),
        }

    return one_round


def hard(scores: Any) -> jax.Array:
    """Return the one-hot vector of the largest score, `[K]`."""
    return jax.nn.one_hot(jnp.argmax(scores), len(scores))
