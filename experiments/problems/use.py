"""How evenly experts or codes are used."""

import jax
import jax.numpy as jnp


def entropy(shares: jax.Array) -> jax.Array:
    r"""Return $-\sum_k s_k \log s_k$ in nats, of shares on the last axis."""
    return jax.scipy.special.entr(shares).sum(-1)


def usage(shares: jax.Array) -> jax.Array:
    """Return the perplexity of shares over their number: 1 if all are even, 1 / K if one is 1.

    Args:
        shares: `[K]`, of the uses.
    """
    return jnp.exp(entropy(shares)) / len(shares)
