"""Antithetic pairs of Bernoulli samples: the same noise with both signs."""

import jax
import jax.numpy as jnp

from estimators.core.objective import Objective
from estimators.distributions.bernoulli import Bernoulli


def antithetic_pair(distribution: Bernoulli, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    r"""Return the hard samples of logistic noise L and of -L.

    With $u = \sigma(L)$ they are $b = 1[u > 1 - s]$ and $\tilde b = 1[u < s]$: each follows the
    distribution, and they agree with minimal probability.
    """
    samples = (distribution.hard(distribution.perturb(signed)) for signed in (noise, -noise))
    first, second = jax.lax.stop_gradient(tuple(samples))
    return first, second


def at_pair(f: Objective, first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return f at both samples, with the same keys if f draws its own samples."""
    if jax.debug_key_reuse.value:  # the key checker would report the second call as reuse
        at_first, at_second = jax.vmap(f)(jnp.stack([first, second]))
        return at_first, at_second
    # Not vmap, which makes XLA copy and transpose f's arrays around an axis of size two.
    return f(first), f(second)


def paired_score(distribution: Bernoulli, first: jax.Array, second: jax.Array) -> jax.Array:
    r"""Return DisARM's weight of $f(b) - f(\tilde b)$: $\frac12 (b - \tilde b) \sigma(|\phi|)$."""
    return (first - second) * jax.nn.sigmoid(abs(distribution.logits)) / 2
