"""The exponential variables behind the Gumbel-max trick, given its arg max."""

import functools

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.enumeration.classes import class_log_probs


@functools.singledispatch
def log_excess(distribution: Discrete, noise: jax.Array) -> jax.Array:
    r"""Return $\log E$, `[variables, classes]`: by how much each class falls short of the arg max.

    The perturbed log-probabilities of a variable, given their maximum M, are
    $-\log(e^{-M} + E_k / p_k)$. E is zero for the arg max, which is the class of the hard sample.
    For the other classes it is exponential, and independent of each other, M and the arg max.
    """
    raise NotImplementedError(f"log_excess of {type(distribution).__name__}")


@log_excess.register
def _(distribution: Bernoulli, noise: jax.Array) -> jax.Array:
    # Given the winner, the remaining noise is its lead x = |phi + L|. The survival function
    # of x is a uniform variable U, and E = -log U = log(1 + (e^x - 1) q) with q the probability of
    # the other value.
    perturbed = jnp.ravel(distribution.perturb(noise))[:, None]
    lead = jnp.abs(perturbed)
    other = class_log_probs(distribution) + lead + jnp.log(-jnp.expm1(-lead))
    excess = jnp.log(jax.nn.softplus(other))
    return jnp.where((perturbed > 0) == jnp.array([[False, True]]), -jnp.inf, excess)


@log_excess.register
def _(distribution: Categorical, noise: jax.Array) -> jax.Array:
    # E_k = exp(-G_k) - p_k exp(-M): the excess of an exponential variable over a bound.
    shape = -1, distribution.event_shape[-1]
    log_probs, noise = class_log_probs(distribution), noise.reshape(shape)
    perturbed = log_probs + noise
    drawn = distribution.perturb(noise.reshape(distribution.event_shape)).reshape(shape)
    winner = jnp.argmax(drawn, -1)
    lead = jnp.max(perturbed, -1, keepdims=True) - perturbed
    excess = -noise + jnp.log(-jnp.expm1(-lead))
    return jnp.where(jax.nn.one_hot(winner, shape[-1], dtype=bool), -jnp.inf, excess)
