"""Evaluating f at many points, within bounded memory."""

from collections.abc import Callable

import jax

# Points evaluated at once: above it memory would grow with the number of points.
_BATCH = 1024


def evaluate_all(function: Callable[[jax.Array], jax.Array], points: jax.Array) -> jax.Array:
    """Return `[N]` values of a function of one point, differentiable, for points `[N, *event]`."""
    if len(points) <= _BATCH:
        return jax.vmap(function)(points)
    # Recomputing a batch backwards keeps memory independent of the number of points.
    return jax.lax.map(jax.checkpoint(function), points, batch_size=_BATCH)
