"""What tests of problems share."""

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Exact

KEY = jax.random.key(5)


def exact(problem, logits=None):
    """Return the loss and its gradient with respect to the logits, by enumeration."""
    params = jax.jit(problem.initial)(KEY) if logits is None else {"logits": jnp.asarray(logits)}
    loss = jax.jit(jax.value_and_grad(lambda p: problem.loss(p, Exact(), KEY, None)))
    value, slope = loss(params)
    return float(value), np.asarray(slope["logits"])


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))
