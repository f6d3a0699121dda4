"""The classes of a discrete distribution's variables, and their log-probabilities."""

import functools

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@functools.singledispatch
def classes_of(distribution: Discrete, sample: jax.Array) -> jax.Array:
    """Return the classes `[variables]` of a hard sample: the inverse of `of_classes`."""
    raise NotImplementedError(f"classes_of {type(distribution).__name__}")


@classes_of.register
def _(distribution: Bernoulli, sample: jax.Array) -> jax.Array:
    return sample.ravel().astype("int32")


@classes_of.register
def _(distribution: Categorical, sample: jax.Array) -> jax.Array:
    return jnp.argmax(sample.reshape(distribution.class_shape), -1).astype("int32")


@functools.singledispatch
def class_log_probs(distribution: Discrete) -> jax.Array:
    """Return the log-probability of every class of every variable, `class_shape`, all finite."""
    raise NotImplementedError(f"class_log_probs of {type(distribution).__name__}")


@class_log_probs.register
def _(distribution: Bernoulli) -> jax.Array:
    logits = jnp.ravel(distribution.canonical().logits)
    return -jax.nn.softplus(jnp.stack([logits, -logits], -1))


@class_log_probs.register
def _(distribution: Categorical) -> jax.Array:
    return jax.nn.log_softmax(distribution.canonical().logits).reshape(distribution.class_shape)
