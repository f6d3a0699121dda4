"""Evaluating f at many points, within bounded memory."""

import math
from collections.abc import Callable
from typing import Any

import jax

# Points evaluated at once, and the numbers in them: above these, memory would grow with the points.
_POINTS = 1024
_NUMBERS = 2**22


def evaluate_all(function: Callable[[Any], Any], points: Any, shape: tuple[int, ...]) -> Any:
    """Return the `[N]` values of a function of one point, differentiable.

    Args:
        function: from one point to scalars. Large points are best made inside it, from an index.
        points: what it is called on: a pytree of `[N, ...]`.
        shape: of what one point expands to; bounds how many are expanded at once.
    """
    (count,) = {len(leaf) for leaf in jax.tree.leaves(points)}
    batch = max(1, min(_POINTS, _NUMBERS // max(1, math.prod(shape))))
    if count <= batch:
        return jax.vmap(function)(points)
    # Recomputing a batch backwards keeps memory independent of the number of points.
    return jax.lax.map(jax.checkpoint(function), points, batch_size=batch)
