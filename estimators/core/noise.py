"""Random numbers: the only file that draws them, from the words of `threefry`.

JAX's default float32 samplers keep 23 bits of a uniform number: a Gumbel variable never exceeds
15.9 and `bernoulli(1e-8)` fires eleven times too often. Here all 32 bits (64 in float64) of one
random word reach *both* tails, at the cost of one word per number.
"""

import jax
import jax.numpy as jnp

from estimators.core.threefry import random_words


def _half_open(key: jax.Array, shape: tuple[int, ...], dtype) -> tuple[jax.Array, jax.Array]:
    """Return u and 1 - u, both exact to the precision of `dtype` even where they are tiny."""
    bits = jnp.finfo(dtype).bits
    word = random_words(key, shape, bits)
    # The offset of one half keeps both ends open.
    scale = jnp.asarray(2.0**-bits, dtype)
    half = jnp.asarray(0.5, dtype)
    return (word.astype(dtype) + half) * scale, ((~word).astype(dtype) + half) * scale


def uniform(key: jax.Array, shape: tuple[int, ...] = (), dtype=jnp.float32) -> jax.Array:
    """Draw uniform numbers from the open interval (0, 1).

    Args:
        key: a typed random key, consumed.
        shape: shape of the result.
        dtype: float32 or float64.
    """
    u, _ = _half_open(key, shape, dtype)
    # Rounding may reach one from below.
    return jnp.minimum(u, jnp.asarray(1.0 - jnp.finfo(dtype).epsneg, dtype))


def logistic(key: jax.Array, shape: tuple[int, ...] = (), dtype=jnp.float32) -> jax.Array:
    r"""Draw standard logistic noise, $\log u - \log(1 - u)$: a difference of two Gumbels.

    Args:
        key: a typed random key, consumed.
        shape: shape of the result.
        dtype: float32 or float64.
    """
    u, v = _half_open(key, shape, dtype)
    return jnp.log(u / v)


def gumbel(key: jax.Array, shape: tuple[int, ...] = (), dtype=jnp.float32) -> jax.Array:
    r"""Draw standard Gumbel noise, $-\log(-\log u)$.

    Args:
        key: a typed random key, consumed.
        shape: shape of the result.
        dtype: float32 or float64.
    """
    u, v = _half_open(key, shape, dtype)
    # -log u, from the side on which it is accurate: u near one is the upper tail.
    exponential = jnp.where(u < v, -jnp.log(u), -jnp.log1p(-v))
    return -jnp.log(exponential)


def normal(key: jax.Array, shape: tuple[int, ...] = (), dtype=jnp.float32) -> jax.Array:
    """Draw standard normal noise.

    Args:
        key: a typed random key, consumed.
        shape: shape of the result.
        dtype: float32 or float64.
    """
    # Symmetric, so the accurate lower tail serves both: ndtri of the smaller of u and 1 - u.
    u, v = _half_open(key, shape, dtype)
    tail = jax.scipy.special.ndtri(jnp.minimum(u, v))
    return jnp.where(u < v, tail, -tail)


def sample_keys(key: jax.Array, num_samples: int) -> jax.Array:
    """Return `[num_samples]` keys: `key` itself, then `fold_in(key, 1)`, `fold_in(key, 2)`, ...

    So every estimator's first draw under one key is the same draw (common random numbers).
    """
    if num_samples == 1:
        return key[None]
    further = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(1, num_samples))
    return jnp.concatenate([key[None], further])


def draw_like(sampler, key: jax.Array, parameter: jax.Array) -> jax.Array:
    """Draw noise from `sampler` with the shape and type of a parameter."""
    return sampler(key, jnp.shape(parameter), jnp.result_type(parameter))
