"""The continuous pass: one evaluation of a stack of stochastic layers at continuous points.

A control variate such as MuProp's or REBAR's needs f at points that are not samples. If f contains
further estimator calls, evaluating these as usual would multiply the cost with every layer. In a
continuous pass each such call instead becomes "f at the mean", or "f at the relaxed sample" with
the noise of its hard sample. So L layers cost L + 1 passes, or 2 L + 1. User code does not change.
"""

import contextlib

import jax

from estimators.core.distribution import Discrete, Distribution
from estimators.core.pytree import Scalar

# A JAX context, which is part of jit's cache key, so that an inner jit retraces.
_pass = jax.make_user_context(None)


class _Relaxation:
    """The temperature of a relaxed pass. If traced, it has no hash: each pass is a new jit key."""

    def __init__(self, temperature: Scalar):
        self.temperature = temperature


def mean_field_pass() -> contextlib.AbstractContextManager[None]:
    """Make every estimator call inside evaluate f at the mean of its distribution."""
    return _pass("mean")


def relaxed_pass(temperature: Scalar) -> contextlib.AbstractContextManager[None]:
    """Make every estimator call inside evaluate f at its relaxed sample at a temperature."""
    return _pass(_Relaxation(temperature))


def in_continuous_pass() -> bool:
    """Return whether the caller is inside a continuous pass."""
    return _pass.value is not None


def continuous_point(key: jax.Array, distribution: Distribution) -> jax.Array:
    """Return the point at which the current pass evaluates f; differentiable in the parameters."""
    if not isinstance(distribution, Discrete):
        # Nothing to relax; reusing the draw keeps the pass correlated with the sample.
        return distribution.sample(key)
    if isinstance(_pass.value, _Relaxation):
        # From the noise of the hard sample.
        perturbed = distribution.perturb(distribution.noise(key))
        return distribution.relaxed(perturbed, _pass.value.temperature)
    return distribution.mean
