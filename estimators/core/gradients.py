"""The two primitives by which an estimator says what its derivative is. First derivatives only."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from estimators.core.attaching import attach, sizes_of_cotangents, slope_is_stopped
from estimators.core.products import vdot
from estimators.core.varying import vary_alike

E = TypeVar("E")


def value_and_slope(f: Callable[[jax.Array], Any]) -> Callable[[jax.Array], tuple[Any, Any]]:
    """Return `jax.value_and_grad(f)`, whose second result has no derivative.

    Estimators inside f attach first derivatives only. Here these are differentiated all the same,
    by whoever differentiates the result, which is harmless: it ends where the slope is stopped.
    """

    def value_and_stopped(sample):
        # Traced step by step, so that the allowance meets this derivative alone: neither those that
        # f takes itself, nor those of whoever differentiates the result.
        traced = jaxpr_as_fun(jax.make_jaxpr(lambda sample: f(sample))(sample))
        with slope_is_stopped():
            both = jax.make_jaxpr(jax.value_and_grad(lambda sample: traced(sample)[0]))(sample)
        value, slope = jaxpr_as_fun(both)(sample)
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

    Raises:
        ValueError: where `value` is no scalar, or the shapes of `at` and `gradient` differ.
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

    Raises:
        ValueError: where `value` is no scalar, or the shapes of `at` and `gradient` differ.
    """
    value = jnp.asarray(value)
    # A zero that is batched wherever the value is: otherwise vmap would sum the cotangents before
    # their sizes are taken.
    stopped = jax.lax.stop_gradient(value)
    zero = jnp.where(jnp.isfinite(stopped), 0, jnp.zeros_like(stopped))
    return value + sizes_of_cotangents(attach_gradient(zero, at, gradient))


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


def replace_gradient(hard: jax.Array, soft: jax.Array) -> jax.Array:
    """Return `hard` exactly, with the derivative of `soft`."""
    # In this order the difference is exactly zero, so nothing is rounded.
    return hard + (soft - jax.lax.stop_gradient(soft))
