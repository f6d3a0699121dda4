"""The two primitives by which an estimator says what its derivative is. First derivatives only."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from estimators.core.attaching import attach, slope_is_stopped
from estimators.core.products import vdot
from estimators.core.varying import vary_alike

E = TypeVar("E")


def value_and_slope(f: Callable[[jax.Array], Any]) -> Callable[[jax.Array], tuple[Any, Any]]:
    """Return `jax.value_and_grad(f)`, whose second result has no derivative.

    Where an estimator differentiates an f that holds further estimators, it may so be
    differentiated again with respect to theirs: no second derivative is taken.
    """

    def value_and_stopped(sample):
        with slope_is_stopped():
            value, slope = jax.value_and_grad(f)(sample)
        return value, jax.lax.stop_gradient(slope)

    return value_and_stopped


def attach_gradient(value: jax.Array, at: Any, gradient: Any) -> jax.Array:
    r"""Return `value`, with `gradient` added to its derivative with respect to `at`.

    $d\,\mathrm{result} = d\,\mathrm{value} + \langle \mathrm{gradient}, d\,\mathrm{at} \rangle$.
    First derivatives only: `gradient` has none, so a second derivative in what `at` depends on
    raises TypeError. Second derivatives in anything else that `value` depends on are its own. Where
    nobody differentiates with respect to `at`, the computation of `gradient` is dead code that the
    compiler removes.

    Args:
        value: a scalar.
        at: a pytree of floating-point arrays.
        gradient: a pytree shaped like `at`.
    """
    value, at, gradient = vary_alike(jnp.asarray(value), at, gradient)
    slopes = jax.tree.structure(at).flatten_up_to(gradient)
    return attach(value, jax.tree.leaves(at), slopes)


def attach_scores(value: jax.Array, at: Any, samples: jax.Array, signal: jax.Array) -> jax.Array:
    r"""Return `value`, with $\sum_i \mathrm{signal}_i \nabla \log q(z_i)$ attached at q.

    Args:
        value: a scalar.
        at: q, a distribution.
        samples: $z_i$, `[n, *event]`.
        signal: `[n]`, stopped.
    """

    def weighted(distribution):
        return vdot(signal, jax.vmap(distribution.log_prob)(samples))

    return attach_gradient(value, at, jax.grad(weighted)(at))


def attach_tuning(value: jax.Array, at: Any, gradient: Any) -> jax.Array:
    r"""Return `value`, whose derivative in `at` is `gradient` times $|\mathrm{cotangent}|$.

    For an estimator's own leaves, which are to *minimise* their objective (a squared error, a
    variance) whatever the sign with which the caller uses the estimate: a gradient linear in the
    cotangent would maximise it under `-estimator(...)`. Reverse mode only with respect to `at`,
    first derivatives only. A mean over a batch gives the mean of the batch's tuning gradients.

    Args:
        value: a scalar; its own derivative is untouched.
        at: a pytree of floating-point arrays: an estimator, or a part of one.
        gradient: a pytree shaped like `at`.
    """
    gradient = jax.tree.map(lambda leaf, slope: slope.astype(jnp.result_type(leaf)), at, gradient)
    stopped = jax.lax.stop_gradient((value, gradient))
    value, at, stopped, gradient = vary_alike(value, at, *stopped)
    zero = _tuning(stopped, at, gradient)
    return value + zero


def attach_learning(
    value: jax.Array, at: Any, estimator: E, gradient: Callable[[E], Any]
) -> jax.Array:
    """Return `value` with an estimator's gradient attached, and what the estimator learns from it.

    The gradient of its own squared norm is attached at the estimator's leaves: where the mean does
    not depend on them, an unbiased estimate of the gradient of the variance.

    Args:
        value: a scalar.
        at: a distribution.
        estimator: the estimator, whose leaves learn.
        gradient: maps the estimator to a pytree shaped like `at`; live in its leaves alone.
    """

    def square(estimator: E) -> jax.Array:
        squares = jax.tree.map(lambda slope: vdot(slope, slope), gradient(estimator))
        return jax.tree.reduce(jnp.add, squares)

    value = attach_gradient(value, at, gradient(estimator))
    return attach_tuning(value, estimator, jax.grad(square)(estimator))


@jax.custom_vjp
def _tuning(value, at, gradient):
    del at, gradient
    # A zero that is batched wherever the value is: otherwise vmap would sum the cotangents before
    # |.|.
    return jnp.where(jnp.isfinite(value), 0, jnp.zeros_like(value))


def _tuning_fwd(value, at, gradient):
    return _tuning(value, at, gradient), gradient


def _tuning_bwd(gradient, cotangent):
    scale = jnp.abs(cotangent)
    scaled = jax.tree.map(lambda slope: scale.astype(slope.dtype) * slope, gradient)
    return jnp.zeros_like(cotangent), scaled, jax.tree.map(jnp.zeros_like, gradient)


_tuning.defvjp(_tuning_fwd, _tuning_bwd)


def replace_gradient(hard: jax.Array, soft: jax.Array) -> jax.Array:
    """Return `hard` exactly, with the derivative of `soft`."""
    # In this order the difference is exactly zero, so nothing is rounded.
    return hard + (soft - jax.lax.stop_gradient(soft))
