"""Exponential clocks: integrals over the time at which a set of them has rung."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def rungs(log_t: jax.Array, ratio: jax.Array) -> jax.Array:
    r"""Return $\log (1 - e^{-q t})$: the log-probability that a clock has rung by a time.

    Less $\log q$ where it is negative: there it is common to all times and, if large, would round
    off the rest.

    Args:
        log_t: $\log t$, which broadcasts against the other argument.
        ratio: $\log q$.
    """
    # Later than this every clock has rung; a larger number would only overflow.
    log_z = jnp.minimum(ratio + log_t, 7)
    z = jnp.exp(log_z)
    small = jnp.minimum(z, 0.05)
    series = -small / 2 + small**2 / 24 - small**4 / 2880
    log_rung = jnp.log(-jnp.expm1(-jnp.where(ratio < 0, jnp.maximum(z, 0.05), z)))
    relative = jnp.where(z < 0.05, series, log_rung - log_z)
    return jnp.where(ratio < 0, log_t + relative, log_rung)


def nodes(count: int, precision: float) -> np.ndarray:
    r"""Return equidistant nodes in log t that give integrals a relative precision.

    The integral below the first node is a smaller share, since the product grows with t. The
    hardest integrand is $t^k e^{-t}$, that of a gamma function: Chernoff's bound on its tail gives
    the last node, and its modulus on a rotated ray bounds the trapezoidal rule's error.
    """
    power, wanted = count + 1, math.log(precision) - 1

    def tail(t: float) -> float:
        return power - t + power * math.log(t / power)

    def error(step: float) -> float:
        frequency = 2 * math.pi / step
        angle = math.atan2(frequency, power)
        return math.log(2) - frequency * angle - power * math.log(math.cos(angle))

    last = next(t for n in range(1, 10_000) if tail(t := power * (1 + n / 8)) < wanted)
    step = next(h for n in range(10_000) if error(h := 0.98**n) < wanted)
    return np.arange(wanted, math.log(last) + step, step)
