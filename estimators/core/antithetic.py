"""Antithetic pairs of Bernoulli samples: one noise, used with both signs."""

import jax

from estimators.distributions.bernoulli import Bernoulli


def antithetic_pair(distribution: Bernoulli, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    r"""Return the hard samples of logistic noise L and of -L.

    With $u = \sigma(L)$ they are $b = 1[u > 1 - s]$ and $\tilde b = 1[u < s]$: each has the
    distribution's law, and they agree as rarely as two such samples can.
    """
    samples = (distribution.hard(distribution.perturb(signed)) for signed in (noise, -noise))
    first, second = jax.lax.stop_gradient(tuple(samples))
    return first, second


def paired_score(distribution: Bernoulli, first: jax.Array, second: jax.Array) -> jax.Array:
    r"""Return DisARM's weight of $f(b) - f(\tilde b)$: $\frac12 (b - \tilde b) \sigma(|\phi|)$."""
    return (first - second) * jax.nn.sigmoid(abs(distribution.logits)) / 2
