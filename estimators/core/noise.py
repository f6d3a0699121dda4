"""Random numbers. No other module draws any.

Our own, since JAX's float32 samplers keep 23 bits of a uniform number by default: a Gumbel variable
never exceeds 15.9, and `bernoulli(1e-8)` is one eleven times too often. Their `mode="high"` takes
two random words per number, and uniform, logistic and normal numbers have no such mode. Here all 32
bits (64 in float64) of a single word reach *both* tails.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from estimators.core.threefry import random_words

_GAMMA_ROUNDS = 10


def both_tails(
    key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike
) -> tuple[jax.Array, jax.Array]:
    """Draw u from (0, 1); return u and 1 - u, both to full relative precision even if tiny.

    Arguments as of `uniform`.
    """
    bits = jnp.finfo(dtype).bits
    word = random_words(key, shape, bits)
    # The offset of one half excludes both ends.
    scale = jnp.asarray(2.0**-bits, dtype)
    half = jnp.asarray(0.5, dtype)
    return (word.astype(dtype) + half) * scale, ((~word).astype(dtype) + half) * scale


def uniform(
    key: jax.Array, shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
) -> jax.Array:
    """Draw uniform numbers from the open interval (0, 1).

    Args:
        key: a typed random key, consumed.
        shape: shape of the result.
        dtype: float32 or float64.
    """
    u, _ = both_tails(key, shape, dtype)
    # Rounding may give one.
    return jnp.minimum(u, jnp.asarray(1.0 - jnp.finfo(dtype).epsneg, dtype))


def logistic(
    key: jax.Array, shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
) -> jax.Array:
    r"""Draw standard logistic noise, $\log u - \log(1 - u)$; arguments as of `uniform`."""
    u, v = both_tails(key, shape, dtype)
    return jnp.log(u / v)


def gumbel(
    key: jax.Array, shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
) -> jax.Array:
    r"""Draw standard Gumbel noise, $-\log(-\log u)$; arguments as of `uniform`."""
    return -jnp.log(exponential(key, shape, dtype))


def exponential(
    key: jax.Array, shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
) -> jax.Array:
    r"""Draw standard exponential noise, $-\log u$; arguments as of `uniform`."""
    u, v = both_tails(key, shape, dtype)
    # From the accurate side: small numbers correspond to u near one.
    return jnp.where(u < v, -jnp.log(u), -jnp.log1p(-v))


def normal(
    key: jax.Array, shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
) -> jax.Array:
    """Draw standard normal noise; arguments as of `uniform`."""
    return normal_quantile(*both_tails(key, shape, dtype))


def normal_quantile(u: jax.Array, v: jax.Array) -> jax.Array:
    """Return the standard normal quantile of u, where v = 1 - u."""
    # By symmetry, both tails use the accurate lower one: ndtri of the smaller of u and 1 - u.
    tail = jax.scipy.special.ndtri(jnp.minimum(u, v))
    return jnp.where(u < v, tail, -tail)


def gamma(
    key: jax.Array,
    concentration: float,
    shape: tuple[int, ...] = (),
    dtype: DTypeLike = jnp.float32,
) -> jax.Array:
    r"""Draw gamma variables of rate 1.

    By Marsaglia and Tsang 2000 (ACM TOMS 26, 3). For a concentration $a \ge 1$ the proposal
    $d (1 + w)^3$, with $d = a - 1/3$ and w normal of variance $1 / (9 d)$, is accepted with the
    probability $\exp(3 d (\log(1 + w) - w + w^2 / 2 - w^3 / 3))$: that of the paper, whose terms
    cancel at large a. This is at least 0.951 on average. There are ten rounds of it in all, so that
    shapes do not depend on values, and the sampler runs on a mesh with explicit axes; all reject
    once in 1e13. For $a < 1$ it is a variable of a + 1 times $u^{1/a}$ with u uniform, which may
    underflow to zero.

    Args:
        key: a typed random key, consumed.
        concentration: a > 0.
        shape: shape of the result.
        dtype: float32 or float64.
    """
    proposal_key, accept_key, power_key = jax.random.split(key, 3)
    rounds = _GAMMA_ROUNDS, *shape
    d = concentration + (2 / 3 if concentration < 1 else -1 / 3)
    # At w = -1, and so below it, the logarithm rejects.
    w = jnp.maximum(normal(proposal_key, rounds, dtype) / (3 * math.sqrt(d)), -1)
    log_accept = 3 * d * (jnp.log1p(w) - w + w**2 / 2 - w**3 / 3)
    accepted = exponential(accept_key, rounds, dtype) > -log_accept
    proposals = d * (1 + w) ** 3
    drawn = proposals[-1]
    # The first that is accepted; not by indices, which an explicit mesh cannot shard.
    for i in reversed(range(_GAMMA_ROUNDS - 1)):
        drawn = jnp.where(accepted[i], proposals[i], drawn)
    if concentration >= 1:
        return drawn
    return drawn * jnp.exp(-exponential(power_key, shape, dtype) / concentration)


def sample_keys(key: jax.Array, num_samples: int) -> jax.Array:
    """Return `[num_samples]` keys: `key` itself, then `fold_in(key, 1)`, `fold_in(key, 2)`, ...

    The first draw with a given key is thus the same for every estimator (common random numbers).
    """
    if num_samples == 1:
        return key[None]
    further = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(1, num_samples))
    return jnp.concatenate([key[None], further])


def draw_like(
    sampler: Callable[[jax.Array, tuple[int, ...], DTypeLike], jax.Array],
    key: jax.Array,
    parameter: jax.Array,
) -> jax.Array:
    """Draw noise from `sampler` with the shape and dtype of a parameter."""
    return sampler(key, jnp.shape(parameter), jnp.result_type(parameter))
