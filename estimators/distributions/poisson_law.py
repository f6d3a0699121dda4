"""Probabilities and quantiles of Poisson variables, accurate at every rate and in both tails."""

import jax
import jax.numpy as jnp

from estimators.core.noise import normal_quantile

_SMALL_RATE = 16
_COUNTS = 72
"""A rate of 16 gives more once in 1e22 draws."""

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)
# Of r - 1 in powers of s, from 1 - r + r log r = s^2 / 2.
_RATIO = (
    *(1, 1 / 6, -1 / 72, 1 / 270, -23 / 17280, 19 / 34020),
    *(-11237 / 43545600, 13 / 102060, -2482411 / 37623398400),
)
# Of c_0 in powers of r - 1.
_SHIFT = 1 / 3, -1 / 36, 43 / 3240, -1 / 120, 403 / 68040, -55373 / 12247200, 17713 / 4898880


def log_pmf(log_rate: jax.Array, count: jax.Array) -> jax.Array:
    r"""Return each count's log-probability in nats; not to be differentiated.

    Of large counts as Loader 2000 ("Fast and accurate computation of binomial probabilities"):
    $-D - \frac12 \log(2 \pi k) - \delta(k)$ with the deviance $D = k \log(k / \lambda) + \lambda -
    k$ and Stirling's remainder $\delta$, none of which is a difference of large numbers.

    Args:
        log_rate: $\log \lambda$.
        count: k, of the same shape.
    """
    rate, k = jnp.exp(log_rate), jnp.maximum(count, 1)
    plain = count * log_rate - rate - jax.scipy.special.gammaln(count + 1)
    step = (k - rate) / (k + rate)
    # Twice the series of artanh.
    series = 2 * sum(step ** (2 * j) / (2 * j + 1) for j in range(8, 0, -1))
    near = (k - rate) * step + k * step * series
    far = k * (jnp.log(k) - log_rate) + (rate - k)
    deviance = jnp.where(abs(step) < 0.1, near, far)
    remainder = sum(c / k ** (2 * i + 1) for i, c in reversed([*enumerate(_STIRLING)]))
    large = -deviance - 0.5 * jnp.log(2 * jnp.pi * k) - remainder
    return jnp.where(count < 16, plain, large)


def quantile(log_rate: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """Return the least counts with a distribution function of at least u.

    Args:
        log_rate: logarithms of the rates.
        u: numbers in (0, 1), of the same shape.
        v: 1 - u, to full relative precision.
    """
    rate = jnp.exp(log_rate)
    small = _by_summation(jnp.minimum(log_rate, jnp.log(1.0 * _SMALL_RATE).astype(u.dtype)), u, v)
    large = _by_expansion(jnp.maximum(rate, _SMALL_RATE), normal_quantile(u, v))
    return jnp.where(rate < _SMALL_RATE, small, large)


@jax.jit  # traced once per shape, as the unrolled sums are slow to trace
def _by_summation(log_rate: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """Compare with the distribution function, or with what it leaves of one if that is smaller.

    Unrolled, since XLA then keeps the sums in registers: cumulative ones over an axis of counts
    take twenty times as long on a CPU.
    """
    rate = jnp.exp(log_rate)
    chances = [jnp.exp(-rate)]
    for count in range(1, _COUNTS + 1):
        chances.append(chances[-1] * (rate / count))
    up_to = above = low = high = jnp.zeros_like(rate)
    # A number below one half is reached by 16: the median is at most a third above the rate.
    for chance in chances[: _SMALL_RATE + 1]:
        up_to += chance
        low += (u > up_to).astype(u.dtype)
    for chance in reversed(chances[1:]):
        above += chance
        high += (v < above).astype(u.dtype)
    return jnp.where(u < v, low, high)


def _by_expansion(rate: jax.Array, deviate: jax.Array) -> jax.Array:
    r"""Return quantiles of large rates from standard normal ones.

    Temme's inverse of the incomplete Gamma function: $\lambda r + c_0(r)$ with $1 - r + r \log r =
    w^2 / (2 \lambda)$, and Giles's correction of order $1 / \lambda$.
    """
    s = jnp.maximum(deviate / jnp.sqrt(rate), -1.4)  # r = 0 at -sqrt 2
    excess = jnp.zeros_like(s)
    for coefficient in reversed(_RATIO):
        excess = s * (excess + coefficient)
    # Newton's method, where the series is not accurate.
    far = abs(s) > 0.5
    ratio = jnp.where(s > 1.2, 1 + s + s**2 / 6, jnp.maximum(1 + excess, 1e-12))
    ratio = jnp.where(far, ratio, 2)
    for _ in range(6):
        log = jnp.log(ratio)
        ratio = jnp.maximum(ratio - (1 - ratio + ratio * log - s**2 / 2) / log, ratio / 100)
    excess = jnp.where(far, ratio - 1, excess)
    tiny = abs(excess) < 0.1
    safe = jnp.where(tiny, 1, excess)
    shift = jnp.log(jnp.where(tiny, 1, s) * jnp.sqrt(1 + safe) / safe) / jnp.log1p(safe)
    series = jnp.zeros_like(s)
    for coefficient in reversed(_SHIFT):
        series = series * excess + coefficient
    shift = jnp.where(tiny, series, shift)
    shift = shift - 0.0218 / (rate * (1.065 + excess) + shift)
    # Whole numbers apart, since the sum would round.
    whole = jnp.floor(rate)
    return jnp.maximum(whole + jnp.floor(rate - whole + rate * excess + shift), 0)
