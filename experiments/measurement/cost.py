"""Memory and operations of a traced program, from its equations."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.core import ShapedArray
from jax.extend import core


class Cost(NamedTuple):
    """The cost of one call of a program.

    Attributes:
        largest: bytes of the largest array.
        once: the number of computed elements that do not depend on the key.
        each: the number of computed elements that do.
    """

    largest: float
    once: float
    each: float


def cost(jaxpr: core.Jaxpr, differs: Sequence[bool]) -> Cost:
    """Return the cost of a program.

    Loops of unknown length count once; only the cheapest of several branches counts.

    Args:
        jaxpr: the program.
        differs: which of its arguments differ between runs.
    """
    largest, once, each = 0.0, 0.0, 0.0
    depend = {x for x, flag in zip(jaxpr.invars, differs, strict=True) if flag}

    def flag(x: Any) -> bool:
        return not isinstance(x, core.Literal) and x in depend

    for equation in jaxpr.eqns:
        flags = [flag(x) for x in equation.invars]
        inner = [one for value in equation.params.values() for one in _programs(value)]
        if inner:
            costs = [cost(one, _own(flags, one)) for one in inner]
            largest = max(largest, *(one.largest for one in costs))
            times = equation.params.get("length", 1)
            gather = min if equation.primitive.name == "cond" else sum
            once += times * gather(one.once for one in costs)
            each += times * gather(one.each for one in costs)
        elif equation.primitive.name not in ("broadcast_in_dim", "iota", "reshape"):
            # Arrays that only repeat numbers are not materialised.
            arrays = [x.aval for x in equation.outvars if isinstance(x.aval, ShapedArray)]
            sizes = [(math.prod(array.shape), array.dtype) for array in arrays]
            largest = max(largest, *(size * dtype.itemsize for size, dtype in sizes), 0)
            count = sum(size for size, _ in sizes)
            once, each = (once, each + count) if any(flags) else (once + count, each)
        if any(flags):
            depend.update(equation.outvars)
    return Cost(largest, once, each)


def _own(flags: list[bool], inner: core.Jaxpr) -> list[bool]:
    """Return the flags of an inner program's arguments, which come last in the equation."""
    # These follow a branch index, or the constants of a loop's other inner program.
    count = len(inner.invars)
    return flags[-count:] if 0 < count <= len(flags) else [False] * count


def _programs(value: Any) -> list[core.Jaxpr]:
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [one for part in value for one in _programs(part)]
    return []
