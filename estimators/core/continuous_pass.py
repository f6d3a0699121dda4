"""The continuous pass: one evaluation of a whole stack of stochastic layers without discreteness.

A control variate such as MuProp's needs f at a point that is no sample. Where f holds further
estimator calls, evaluating them as usual would double the cost with every layer; in the continuous
pass each of them becomes "f at the mean" instead, so L layers cost L + 1 passes. User code does not
change.
"""

import contextlib

import jax

from estimators.core.distribution import Discrete, Distribution

# A JAX context, not a Python global: it is part of jit's cache key, so an inner jit retraces.
_pass = jax.make_user_context(None)


def mean_field_pass() -> contextlib.AbstractContextManager[None]:
    """Make every estimator call inside evaluate f at the mean of its distribution."""
    return _pass("mean")


def in_continuous_pass() -> bool:
    """Say whether a continuous pass is under way."""
    return _pass.value is not None


def continuous_point(key: jax.Array, distribution: Distribution) -> jax.Array:
    """Return where the pass under way evaluates f; differentiable in the parameters."""
    if isinstance(distribution, Discrete):
        return distribution.mean
    # A continuous variable has no discreteness to remove; the same draw keeps the pass correlated.
    return distribution.sample(key)
