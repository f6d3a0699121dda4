"""Coupled noise: the noise of a posterior draw that reproduces given perturbed logits."""

import functools

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@functools.singledispatch
def noise_given(distribution: Discrete, perturbed: jax.Array, sample: jax.Array) -> jax.Array:
    """Return the noise that `distribution.perturb_given` maps to these perturbed logits."""
    raise NotImplementedError(f"noise_given of {type(distribution).__name__}")


@noise_given.register
def _(distribution: Bernoulli, perturbed: jax.Array, sample: jax.Array) -> jax.Array:
    # V = +-(log(e^|z| - 1) - softplus(+-phi)), with + where b = 1.
    sign = 2 * sample - 1
    size = jnp.maximum(sign * perturbed, jnp.finfo(distribution.dtype).tiny)
    # log(e^x - 1), for large and for small x.
    inverse_softplus = size + jnp.log(-jnp.expm1(-size))
    logits = distribution.canonical().logits
    return sign * (inverse_softplus - jax.nn.softplus(sign * logits))


@noise_given.register
def _(distribution: Categorical, perturbed: jax.Array, sample: jax.Array) -> jax.Array:
    # The maximum's own Gumbel noise, and that of the others before truncation.
    logits = distribution.canonical().logits
    shift = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    centred = perturbed - shift
    winner = jnp.sum(sample * centred, -1, keepdims=True)
    below = jnp.maximum(winner - centred, jnp.finfo(distribution.dtype).tiny)
    others = centred - jnp.log(-jnp.expm1(-below)) - jax.nn.log_softmax(logits)
    return jnp.where(sample > 0, winner, others)
