"""The continuous pass: one evaluation of a whole stack of stochastic layers without discreteness.

A control variate such as MuProp's or REBAR's needs f at points that are no samples. Where f holds
further estimator calls, evaluating them as usual would multiply the cost with every layer; in the
continuous pass each of them becomes "f at the mean", or "f at the relaxed sample" with the noise of
its hard sample, instead. So L layers cost L + 1 passes, or 2 L + 1. User code does not change.
"""

import contextlib
from typing import Any

import jax

from estimators.core.distribution import Discrete, Distribution

# A JAX context, not a Python global: it is part of jit's cache key, so an inner jit retraces.
_pass = jax.make_user_context(None)


class _Relaxation:
    """The temperature of a pass: traced, it has no hash, so each pass is a jit cache key itself."""

    def __init__(self, temperature: Any):
        self.temperature = temperature


def mean_field_pass() -> contextlib.AbstractContextManager[None]:
    """Make every estimator call inside evaluate f at the mean of its distribution."""
    return _pass("mean")


def relaxed_pass(temperature: Any) -> contextlib.AbstractContextManager[None]:
    """Make every estimator call inside evaluate f at its relaxed sample at a temperature."""
    return _pass(_Relaxation(temperature))


def in_continuous_pass() -> bool:
    """Return whether a continuous pass is under way."""
    return _pass.value is not None


def continuous_point(key: jax.Array, distribution: Distribution) -> jax.Array:
    """Return where the pass under way evaluates f; differentiable in the parameters."""
    if not isinstance(distribution, Discrete):
        # It has no discreteness to remove; the same draw keeps the pass correlated.
        return distribution.sample(key)
    if isinstance(_pass.value, _Relaxation):
        # From the key's own noise, as the hard sample is.
        perturbed = distribution.perturb(distribution.noise(key))
        return distribution.relaxed(perturbed, _pass.value.temperature)
    return distribution.mean
