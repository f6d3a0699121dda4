"""Straight-through of second order: exact for every quadratic f."""

import functools

import jax
import jax.numpy as jnp

from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.poisson import Poisson


@pytree
class SecondOrderStraightThrough(Estimator[Poisson, Objective]):
    r"""f' at the hard sample times a derivative that makes it exact for quadratic f.

    One evaluation of f and its gradient, as `StraightThrough`. Of counts it is $\frac12 (\lambda +
    x) f'(x)$: the trapezoidal rule for the differences of `PoissonDifference`, since $E[\lambda
    g(x + 1)] = E[x \, g(x)]$. Its bias begins with the third derivative of f. Of bits and classes
    it would be `ReinMax`, which has a tuned form of its own.
    """

    differentiates = True
    paper = ""

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the surrogate derivative."""
        sample = distribution.sample(key)
        return f(replace_gradient(sample, surrogate(distribution, sample)))


@functools.singledispatch
def surrogate(distribution: Distribution, sample: jax.Array) -> jax.Array:
    """Return an array shaped like the sample, with the derivative that is to replace its own."""
    raise NotImplementedError(f"SecondOrderStraightThrough of {type(distribution).__name__}")


@surrogate.register
def _(distribution: Poisson, sample: jax.Array) -> jax.Array:
    return (jnp.exp(distribution.log_rate) + sample * distribution.log_rate) / 2
