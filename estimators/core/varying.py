"""Mesh axes over which values vary inside `jax.shard_map`.

There JAX sums a derivative with respect to a shared value over the devices. An estimator's own
derivatives are local to each device, so its inputs are first cast to varying; the sum is then taken
once, in the caller's derivative.
"""

from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

import jax
import jax.numpy as jnp

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Whether `axes_of_result` is tracing. Otherwise every layer would trace those below again, 2 **
# layers times in total. A JAX context, so that inner jits retrace.
_looking = jax.make_user_context(False)


def varying_axes(*trees: Any) -> frozenset[Any]:
    """Return the mesh axes over which any leaf varies; none outside `jax.shard_map`."""
    leaves = jax.tree.leaves(trees)
    return frozenset().union(*(jax.typeof(leaf).manual_axis_type.varying for leaf in leaves))


def vary(tree: T, axes: frozenset[Any]) -> T:
    """Return `tree` with all leaves cast to vary over `axes` too."""

    def cast(leaf: jax.Array) -> jax.Array:
        missing = axes - varying_axes(leaf)
        return jax.lax.pcast(leaf, tuple(sorted(missing)), to="varying") if missing else leaf

    return jax.tree.map(cast, tree)


def vary_alike(*trees: *Ts) -> tuple[*Ts]:
    """Return the trees with all leaves cast to vary over the axes that any of them varies over."""
    axes = varying_axes(*trees)
    return vary(trees, axes) if axes else trees


def axes_of_result(function: Callable[[], Any], *trees: Any) -> frozenset[Any]:
    """Return the mesh axes over which the trees or the result of `function` vary."""
    axes = varying_axes(*trees)
    manual = jax.sharding.get_abstract_mesh().manual_axes
    # Traced only if there are further axes and JAX tracks them.
    further = tuple(axis for axis in manual if axis not in axes)
    if further and varying_axes(jax.lax.pcast(jnp.zeros(()), further, to="varying")):
        with _looking(True):
            axes |= varying_axes(jax.eval_shape(function))
    return axes


def only_axes_matter() -> bool:
    """Return whether `axes_of_result` is tracing, when only a result's dtype and axes matter."""
    return _looking.value
