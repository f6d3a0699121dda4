"""The distribution halfway from the mean to a sample, at which ReinMax takes its derivative."""

import functools

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.core.pytree import Scalar
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


def halfway(distribution: Discrete, sample: jax.Array, temperature: Scalar = 1.0) -> Discrete:
    """Return the distribution whose mean is halfway from the (tempered) mean to the sample.

    Its logits keep the derivative of the given logits; only the point at which a Jacobian is taken
    changes.

    Args:
        distribution: the distribution at the start.
        sample: the hard sample at the end.
        temperature: divides the logits first; no derivative passes through it.
    """
    origin = jax.lax.stop_gradient(distribution.logits)
    tempered = distribution.with_logits(origin / jax.lax.stop_gradient(temperature))
    logits = halfway_logits(tempered, sample)
    return distribution.with_logits(logits + (distribution.logits - origin))


@functools.singledispatch
def halfway_logits(distribution: Discrete, sample: jax.Array) -> jax.Array:
    """Return the logits whose mean is halfway to a hard sample, `(mean + sample) / 2`."""
    raise NotImplementedError(f"halfway_logits of {type(distribution).__name__}")


@halfway_logits.register
def _(distribution: Bernoulli, sample: jax.Array) -> jax.Array:
    # log((1 + s) / (1 - s)) where b = 1, and log(s / (2 - s)) where b = 0.
    sign = 2 * sample - 1
    towards = sign * distribution.canonical().logits
    return sign * (jnp.log1p(jax.nn.sigmoid(towards)) + jax.nn.softplus(towards))


@halfway_logits.register
def _(distribution: Categorical, sample: jax.Array) -> jax.Array:
    # log(p + D): logits need no normalisation.
    log_probs = jax.nn.log_softmax(distribution.canonical().logits)
    return jnp.where(sample > 0, jnp.log1p(jnp.exp(log_probs)), log_probs)
