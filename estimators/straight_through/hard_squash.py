"""The hard sigmoid of a variable's log-odds: a piecewise linear approximation of its mean."""

import functools

import jax
import jax.numpy as jnp

from estimators.core.averages import sum_of_others
from estimators.core.distribution import Discrete
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@functools.singledispatch
def hard_squash(distribution: Discrete) -> jax.Array:
    r"""Return $\min(1, \max(0, (l + 1) / 2))$ of the log-odds l of each bit or class.

    The log-odds of a class are $\theta_k - \log\sum_{j \ne k} e^{\theta_j}$, so two classes are
    equivalent to a bit. The result need not sum to one: only its derivative is used.
    """
    raise NotImplementedError(f"hard_squash of {type(distribution).__name__}")


@hard_squash.register
def _(distribution: Bernoulli) -> jax.Array:
    return jnp.clip((distribution.logits + 1) / 2, 0, 1)


@hard_squash.register
def _(distribution: Categorical) -> jax.Array:
    logits = distribution.canonical().logits
    others = sum_of_others(jnp.moveaxis(jnp.exp(logits), -1, 0))
    # If the others vanish, the result is one regardless of their logarithm.
    others = jnp.log(jnp.maximum(others, jnp.finfo(logits.dtype).tiny))
    log_odds = logits - jnp.moveaxis(others, 0, -1)
    return jnp.clip((log_odds + 1) / 2, 0, 1)
