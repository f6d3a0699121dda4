"""Functions that set an estimator's derivative. First derivatives only."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from estimators.core.attaching import attach, sizes_of_cotangents, slope_is_stopped, watch
from estimators.core.objective import Objective
from estimators.core.pytree import learned_leaves
from estimators.core.varying import vary_alike

T = TypeVar("T")


def value_and_slope(f: Objective) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """Return `jax.value_and_grad(f)` with the gradient stopped.

    Estimators inside f attach first derivatives only. Differentiating the value traces second
    derivatives of these nevertheless, which is harmless, since the gradient is stopped.
    """

    def value_and_stopped(sample: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Traced step by step, so that the permission covers this derivative only, not those taken
        # inside f or those a caller takes of the result.
        traced = jaxpr_as_fun(jax.make_jaxpr(lambda sample: f(sample))(sample))
        with slope_is_stopped():
            both = jax.make_jaxpr(jax.value_and_grad(lambda sample: traced(sample)[0]))(sample)
        value, slope = jaxpr_as_fun(both)(sample)
        return value, jax.lax.stop_gradient(slope)

    return value_and_stopped


def attach_gradient(value: jax.Array, at: T, gradient: T) -> jax.Array:
    r"""Return `value`, with `gradient` added to its derivative with respect to `at`.

    $d\,\mathrm{result} = d\,\mathrm{value} + \langle \mathrm{gradient}, d\,\mathrm{at} \rangle$.
    First derivatives only: `gradient` is stopped, so a second derivative with respect to what `at`
    depends on raises TypeError. Second derivatives in anything else that `value` depends on are
    unaffected. Without a derivative with respect to `at`, the computation of `gradient` is dead
    code, which the compiler removes.

    Args:
        value: a scalar.
        at: a pytree of floating-point arrays.
        gradient: a pytree shaped like `at`.

    Raises:
        ValueError: if `value` is not a scalar, or the shapes of `at` and `gradient` differ.
    """
    value, at, gradient = vary_alike(jnp.asarray(value), at, gradient)
    slopes = jax.tree.structure(at).flatten_up_to(gradient)
    return attach(value, jax.tree.leaves(at), slopes)


def attach_tuning(value: jax.Array, at: T, gradient: T) -> jax.Array:
    r"""Return `value`, whose derivative in `at` is `gradient` times $|\mathrm{cotangent}|$.

    For an estimator's own leaves, which *minimise* their objective (a squared error, a variance)
    regardless of the sign of the estimate in the caller's loss: a gradient linear in the cotangent
    would maximise it under `-estimator(...)`. First derivatives only, and reverse mode only with
    respect to `at`. A mean over a batch gives the mean of the batch's tuning gradients.
    Differentiating `value` but no learned leaf of `at` warns `NotLearning`.

    Args:
        value: a scalar; its own derivative is unaffected.
        at: a pytree of floating-point arrays: an estimator or a component.
        gradient: a pytree shaped like `at`.

    Raises:
        ValueError: if `value` is not a scalar, or the shapes of `at` and `gradient` differ.
    """
    value = jnp.asarray(value)
    # A zero that is batched like the value; otherwise vmap would sum the cotangents before taking
    # absolute values.
    stopped = jax.lax.stop_gradient(value)
    zero = jnp.where(jnp.isfinite(stopped), 0, jnp.zeros_like(stopped))
    if leaves := learned_leaves(at):
        value = watch(value, leaves)
    return value + sizes_of_cotangents(attach_gradient(zero, at, gradient))


def replace_gradient(hard: jax.Array, soft: jax.Array) -> jax.Array:
    """Return exactly `hard`, with the derivative of `soft`.

    Raises:
        ValueError: if their shapes differ: broadcasting would sum derivatives, or repeat a sample.
    """
    if jnp.shape(hard) != jnp.shape(soft):
        raise ValueError(
            f"replace_gradient takes arrays of one shape, not {jnp.shape(hard)} and "
            f"{jnp.shape(soft)}: broadcast them first if that is meant"
        )
    # In this order the difference is exactly zero, so that `hard` is not rounded.
    return hard + (soft - jax.lax.stop_gradient(soft))
