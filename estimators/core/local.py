"""Local expectations: each variable's exact gradient, given a sample of the others."""

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.core.gradients import attach_gradient


def num_variables(distribution: Discrete) -> int:
    """Return how many variables one event holds."""
    return jax.eval_shape(distribution.log_probs, distribution.mean).size


def num_alternatives(distribution: Discrete) -> int:
    """Return how many other values a variable has: K - 1."""
    return len(jax.eval_shape(distribution.alternatives, distribution.mean))


def neighbours(distribution: Discrete, samples: jax.Array) -> jax.Array:
    """Return `[variables, K - 1, *event]`: sample i with variable i at each of its other values.

    Args:
        distribution: of the samples.
        samples: hard samples `[variables, *event]`, one for each variable.
    """
    others = _alternatives_of_own(distribution, samples)
    return jnp.where(_own(distribution, samples)[:, None], others[None], samples[:, None])


def attach_local(
    distribution: Discrete, samples: jax.Array, values: jax.Array, found: jax.Array
) -> jax.Array:
    r"""Return the mean of the local expectations of f, with their gradients attached.

    For each variable i, $E_i = \sum_v q(z_i = v) f(z^{(i)}_{\ne i}, v)$; attached, $\sum_v \nabla
    q(z_i = v) f(z^{(i)}_{\ne i}, v)$. Both are taken from the differences to f at the sample, so
    that a constant in f is not rounded.

    Args:
        distribution: of the samples.
        samples: hard samples `[variables, *event]`, one for each variable.
        values: f at these samples, `[variables]`.
        found: f at their `neighbours`, `[variables, K - 1]`.
    """
    others = _alternatives_of_own(distribution, samples)
    steps = found - values[:, None]

    def chances(distribution):
        return jnp.exp(jax.vmap(distribution.log_probs)(others)).reshape(steps.T.shape).T

    def weighted(distribution):
        return jnp.vdot(jax.lax.stop_gradient(steps), chances(distribution))

    expected = values + jnp.sum(jax.lax.stop_gradient(chances(distribution)) * steps, -1)
    return attach_gradient(expected.mean(), distribution, jax.grad(weighted)(distribution))


def _own(distribution: Discrete, samples: jax.Array) -> jax.Array:
    """Return `[variables, *event]`, or with a last axis of one: where variable i is in row i."""
    shape = jax.eval_shape(distribution.log_probs, samples[0]).shape
    return jnp.eye(len(samples), dtype=bool).reshape(-1, *shape)


def _alternatives_of_own(distribution: Discrete, samples: jax.Array) -> jax.Array:
    """Return `[K - 1, *event]`: the other values of variable i in sample i."""
    held = jnp.where(_own(distribution, samples), samples, jnp.zeros_like(samples)).sum(0)
    return distribution.alternatives(held)
