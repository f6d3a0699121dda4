"""Local expectations: each variable's exact gradient, given a sample of the others."""

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.core.evaluate import evaluate_all
from estimators.core.objective import Objective


def num_variables(distribution: Discrete) -> int:
    """Return how many variables one event holds."""
    return jax.eval_shape(distribution.log_probs, distribution.mean).size


def num_alternatives(distribution: Discrete) -> int:
    """Return how many other values a variable has: K - 1."""
    return len(jax.eval_shape(distribution.alternatives, distribution.mean))


def local_gradient(
    distribution: Discrete, samples: jax.Array, values: jax.Array, f: Objective
) -> Discrete:
    r"""Return $\sum_i \sum_v (f(z^{(i)}_{\ne i}, v) - f(z^{(i)})) \nabla q(z_i = v)$.

    Exact for variable i given the others in its own sample; f at the sample can be subtracted since
    probabilities sum to one. Evaluates f `num_alternatives` times for each variable.

    Args:
        distribution: of the samples.
        samples: hard samples `[variables, *event]`, one for each variable.
        values: f at these samples, `[variables]`.
        f: evaluated at hard samples, and not differentiated.
    """
    shape = jax.eval_shape(distribution.log_probs, samples[0]).shape
    own = jnp.eye(len(samples), dtype=bool).reshape(-1, *shape)
    # One event that holds variable i of sample i, and its other values.
    held = jnp.where(own, samples, jnp.zeros_like(samples)).sum(0)
    others = distribution.alternatives(held)
    points = jnp.where(own[:, None], others[None], samples[:, None])
    found = evaluate_all(f, points.reshape(-1, *held.shape)).reshape(points.shape[:2])
    steps = jax.lax.stop_gradient(found - values[:, None])

    def weighted(distribution):
        chance = jnp.exp(jax.vmap(distribution.log_probs)(others))
        return jnp.vdot(steps.T, chance.reshape(steps.T.shape))

    return jax.grad(weighted)(distribution)
