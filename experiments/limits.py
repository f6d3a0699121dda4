"""What a run would take, found from shapes before anything is computed; too much is refused.

Programs are traced, not run: what they would hold and compute at once is read off their equations.
"""

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from estimators import Estimator
from experiments.device import num_cores
from experiments.errors import UsageError
from experiments.problems import Problem
from experiments.user_code import blame

_MOST_SECONDS = 7 * 24 * 3600
_MOST_EVALUATIONS = 2**22
_CORE, _ACCELERATOR = 1e9, 1e12
"""Numbers that arithmetic gives in a second, at best, of what is more than an addition."""

_SUSPICIOUS = 1 / 16
"""Of the memory: what one array may take before the compiler is asked what all will."""


class Cost(NamedTuple):
    """What one call of a program takes.

    Attributes:
        largest: bytes of the largest array.
        numbers: how many numbers are computed.
    """

    largest: float
    numbers: float


def memory() -> int:
    """Return the bytes of the device's memory, of a CPU the host's."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit", 2**34)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(what: str, count: float) -> None:
    """Refuse what does not fit into memory.

    Raises:
        UsageError: naming it, and how much it would take.
    """
    if count > memory():
        raise UsageError(f"{what} would take {_size(count)} of memory, of {_size(memory())}")


def check_problem(problem: Problem, data: Any) -> None:
    """Refuse a problem whose parameters or minibatches do not fit into memory.

    Args:
        problem: the problem.
        data: what `problem.data()` returned.

    Raises:
        UsageError: naming the problem, and how much it would take.
    """
    key = jax.random.key(0)
    for part, function, arguments in (
        ("parameters", problem.initial, (key,)),
        ("a minibatch", problem.batch, (key, data)),
    ):
        found = _shapes(function, *arguments)
        if found is not None:
            check_memory(f"{problem}: {part}", num_bytes(found))


def refusal(
    problem: Problem,
    estimator: Estimator,
    context: tuple[Any, Any],
    distribution: Any,
    times: float = 1,
) -> str | None:
    """Return why so many gradients of an estimator cannot be had, or None where they can.

    Args:
        problem: the problem.
        estimator: the estimator.
        context: parameters and a minibatch.
        distribution: of one example's latent variable there.
        times: the number of gradients.
    """
    if reason := problem.refusal(estimator, distribution):
        return reason
    count = problem.evaluations(estimator, distribution)
    if count > _MOST_EVALUATIONS:
        shown = f"{count:,}" if count < 10**12 else f"10^{int(math.log10(count))}"
        return f"takes {shown} evaluations of f, at most {_MOST_EVALUATIONS:,} are possible"

    def gradient(params, batch, key):
        ready = estimator.initialise(key, distribution)
        return jax.grad(problem.loss)(params, ready, key, batch)

    key = jax.random.key(0)
    return excess(gradient, *context, key, times=times, copies=len(jax.devices()))


def excess(function: Callable, *arguments: Any, times: float, copies: float = 1) -> str | None:
    """Return why a program cannot be run so many times, None where it can.

    Args:
        function: the program.
        arguments: its arguments, or their shapes.
        times: how often it is run.
        copies: how many of it are run at once.
    """
    try:
        traced = jax.make_jaxpr(function)(*arguments)
    except jax.errors.JAXTypeError:  # a user's code that looks at values cannot be traced
        return None
    except RecursionError as error:
        if blame(error):
            raise
        return "is nested too deeply for Python"
    except OverflowError:
        return "has arrays that no machine can hold"
    found = _cost(traced.jaxpr)
    if reason := _too_long(found.numbers * times):
        return reason
    room = memory()
    held = found.largest * copies
    if room * _SUSPICIOUS < held < 4 * room:
        plan = jax.jit(function).lower(*arguments).compile().memory_analysis()
        held = copies * (plan.temp_size_in_bytes + plan.output_size_in_bytes) if plan else held
    if held > room:
        return f"would take {_size(held)} of memory, of {_size(room)}"
    return None


def _too_long(numbers: float) -> str | None:
    devices = jax.devices()
    on_cpu = devices[0].platform == "cpu"
    seconds = numbers / (_CORE * num_cores() if on_cpu else _ACCELERATOR * len(devices))
    if seconds <= _MOST_SECONDS:
        return None
    return f"would take {seconds / 86400:,.0f} days at the best (at most {_MOST_SECONDS // 86400})"


def _shapes(function: Callable, *arguments: Any) -> Any:
    try:
        return jax.eval_shape(function, *arguments)
    except jax.errors.JAXTypeError:
        return None
    except OverflowError as error:
        raise UsageError(f"arrays so large that no machine can hold them: {error}") from error


def _cost(jaxpr: core.Jaxpr) -> Cost:
    """Return the cost of a program; loops of unknown length count once."""
    largest, numbers = 0.0, 0.0
    for equation in jaxpr.eqns:
        inner = [_cost(one) for value in equation.params.values() for one in _programs(value)]
        if inner:
            times = equation.params.get("length", 1)
            largest = max(largest, *(one.largest for one in inner))
            numbers += times * sum(one.numbers for one in inner)
        elif equation.primitive.name not in ("broadcast_in_dim", "iota", "reshape"):
            # What only repeats numbers is never held by itself.
            sizes = [(math.prod(x.aval.shape), x.aval.dtype) for x in equation.outvars]  # type: ignore
            largest = max(largest, *(size * _item(dtype) for size, dtype in sizes), 0)
            numbers += sum(size for size, _ in sizes)
    return Cost(largest, numbers)


def _programs(value: Any) -> list[core.Jaxpr]:
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [one for part in value for one in _programs(part)]
    return []


def _item(dtype: Any) -> int:
    return 8 if jnp.issubdtype(dtype, jax.dtypes.extended) else dtype.itemsize


def num_bytes(tree: Any) -> int:
    """Return the bytes of arrays, or of their shapes."""
    return sum(math.prod(leaf.shape) * _item(leaf.dtype) for leaf in jax.tree.leaves(tree))


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"
