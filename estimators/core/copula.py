"""The Dirichlet copula: several uniform numbers that avoid each other."""

import jax
import jax.numpy as jnp

from estimators.core.averages import sum_of_others


def repelled_log_uniforms(noise: jax.Array) -> jax.Array:
    r"""Return logarithms of n uniform numbers, each pair of which is negatively dependent.

    Exponential variables $E_i = -\log(1 - \sigma(L_i))$ over their sum are a uniform point d on the
    simplex; each $u_i = (1 - d_i)^{n - 1}$ is uniform. Two of them are $u, 1 - u$. $u_i$ falls in
    $L_i$.

    Args:
        noise: $L$, independent logistic noise, `[n, ...]` with n of two or more.
    """
    count = len(noise)
    shares = jax.nn.softplus(noise)
    return (count - 1) * (jnp.log(sum_of_others(shares)) - jnp.log(shares.sum(0, keepdims=True)))


def joint_chance(chance: jax.Array, other: jax.Array, count: int) -> jax.Array:
    r"""Return $P(u_1 < p, u_2 < q)$ of two of n repelled uniform numbers.

    $\max(0, p^{1/(n-1)} + q^{1/(n-1)} - 1)^{n-1}$. Where p or q is rounded out of [0, 1], it is the
    nearer end: a cumulative sum need not be monotone.
    """
    root = 1 / (count - 1)
    chance, other = jnp.clip(chance, 0, 1), jnp.clip(other, 0, 1)
    return jnp.maximum(chance**root + other**root - 1, 0) ** (count - 1)
