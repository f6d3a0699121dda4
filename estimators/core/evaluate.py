"""Evaluating f at many points, within bounded memory."""

import math
from collections.abc import Callable
from typing import Any

import jax

# Limits on points, and on the numbers in them, evaluated at once, so that memory does not grow with
# the number of points.
_POINTS = 1024
_NUMBERS = 2**22


def evaluate_all(function: Callable[[Any], Any], points: Any, shape: tuple[int, ...]) -> Any:
    """Return the `[N]` values of a function of one point, differentiable.

    Args:
        function: maps one point to scalars. Build large points inside the function, from an index.
        points: its arguments, a pytree of arrays `[N, ...]`.
        shape: shape that one point expands to; limits how many are expanded at once.
    """
    (count,) = {len(leaf) for leaf in jax.tree.leaves(points)}
    batch = max(1, min(_POINTS, _NUMBERS // max(1, math.prod(shape))))
    if count <= batch:
        return jax.vmap(function)(points)
    # Recomputing each batch in the backward pass keeps memory independent of the number of points.
    return jax.lax.map(jax.checkpoint(function), points, batch_size=batch)
