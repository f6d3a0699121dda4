"""Mesh axes over which values vary inside `jax.shard_map`.

There JAX sums a derivative with respect to what all devices share over the devices. An estimator's
own derivatives are one device's, so what it differentiates is cast to vary first; the sum is then
taken once, where the caller asked for it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Without it every layer would look for its axes whenever one above does: 2 ** layers traces. A JAX
# context, so that inner jits retrace.
_looking = jax.make_user_context(False)


def varying_axes(*trees: Any) -> frozenset[Any]:
    """Return the mesh axes over which any leaf varies; none outside `jax.shard_map`."""
    leaves = jax.tree.leaves(trees)
    return frozenset().union(*(jax.typeof(leaf).manual_axis_type.varying for leaf in leaves))


def vary(tree: Any, axes: frozenset[Any]) -> Any:
    """Return `tree`, all leaves of which vary over `axes` too."""

    def cast(leaf):
        missing = axes - varying_axes(leaf)
        return jax.lax.pcast(leaf, tuple(sorted(missing)), to="varying") if missing else leaf

    return jax.tree.map(cast, tree)


def vary_alike(*trees: Any) -> Any:
    """Return the trees, all leaves of which vary over the axes that any of them varies over."""
    axes = varying_axes(*trees)
    return vary(trees, axes) if axes else trees


def axes_of_result(function: Callable[[], Any], *trees: Any) -> frozenset[Any]:
    """Return the mesh axes over which a function's result varies, or the trees do."""
    axes = varying_axes(*trees)
    manual = jax.sharding.get_abstract_mesh().manual_axes
    # Traced only where the answer is open: further axes, and JAX keeps track of them.
    further = tuple(axis for axis in manual if axis not in axes)
    if further and varying_axes(jax.lax.pcast(jnp.zeros(()), further, to="varying")):
        with _looking(True):
            axes |= varying_axes(jax.eval_shape(function))
    return axes


def only_axes_matter() -> bool:
    """Return whether `axes_of_result` is tracing: what has the right type and axes will do."""
    return _looking.value
