"""Limits on the memory and the time of a run, checked before anything is computed.

Programs are traced, not run: their memory and operations are estimated from their equations.
"""

import math
import os
from collections.abc import Callable
from typing import Any

import jax

from estimators import Estimator, frozen
from estimators.checks import Misfit
from experiments.measurement.cost import Cost, cost
from experiments.measurement.moments import Gradient, num_bytes
from experiments.problems import Measurable, Problem
from experiments.running.user_code import blame
from experiments.system.device import PRECISION, num_cores
from experiments.system.errors import UsageError

MAX_SECONDS = 7 * 24 * 3600
MAX_SECONDS_OF_ONE = 60
"""For one gradient, during which no progress is reported."""

_MOST_EVALUATIONS = 2**22
CORE_RATE, ACCELERATOR_RATE = 2e10, 5e13
"""Maximum number of results of arithmetic operations per second, as in fused loops."""

_SUSPICIOUS = 1 / 16
"""Fraction of the memory above which, for one array, the compiler is asked for the total."""


def memory() -> int:
    """Return the bytes of the device's memory; for a CPU, the host's."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit", 2**34)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(what: str, count: float) -> None:
    """Check that a number of bytes fits into memory.

    Raises:
        UsageError: if it does not.
    """
    if count > memory():
        raise UsageError(
            f"{what} would take {_size(count)} of memory; available: {_size(memory())}"
        )


def check_problem(problem: Problem, data: Any) -> None:
    """Check that a problem's parameters and minibatches fit into memory and are soon made.

    Args:
        problem: the problem.
        data: the result of `problem.data()`.

    Raises:
        UsageError: if they do not fit, or if initial parameters take minutes.
    """
    key = jax.random.key(0)
    for part, function, arguments in (
        ("parameters", problem.initial, (key,)),
        ("a minibatch", problem.batch, (key, data)),
    ):
        found = _shapes(function, *arguments)
        if found is not None:
            check_memory(f"{problem}: {part}", num_bytes(found))
    if reason := excess(problem.initial, key, fixed=0, times=1, what="initial parameters"):
        raise UsageError(f"{problem} {reason}")


def refusal(
    problem: Measurable,
    estimator: Estimator,
    context: tuple[Any, Any],
    distribution: Any,
    times: float = 1,
    *,
    moves: bool = False,
    gradient: Gradient | None = None,
) -> str | None:
    """Return why gradients of an estimator cannot be computed, or None if they can.

    Args:
        problem: the problem.
        estimator: the estimator.
        context: parameters and a minibatch.
        distribution: the latent variable of one example there.
        times: the number of gradients.
        moves: whether parameters and minibatch change between gradients.
        gradient: the gradient that is computed; by default, with respect to all parameters.
    """
    if reason := problem.refusal(estimator, distribution):
        return reason
    count = problem.evaluations(estimator, distribution)
    if count > _MOST_EVALUATIONS:
        shown = f"{count:,}" if count < 10**12 else f"10^{int(math.log10(count))}"
        return f"takes {shown} evaluations of f, more than the maximum of {_MOST_EVALUATIONS:,}"

    def of_all(estimator, context, key):
        params, batch = context
        with frozen():
            return jax.grad(problem.loss)(params, estimator, key, batch)

    return excess(
        gradient or of_all,
        jax.eval_shape(lambda: estimator.initialise(jax.random.key(0), distribution)),
        context,
        jax.random.key(0),
        fixed=1 if moves else 2,
        times=times,
        copies=len(jax.devices()),
        what="one gradient",
    )


def excess(
    function: Callable,
    *arguments: Any,
    fixed: int,
    times: float,
    copies: float = 1,
    what: str | None = None,
) -> str | None:
    """Return why a program cannot be run, or None if it can.

    Args:
        function: the program.
        arguments: its arguments, or their shapes.
        fixed: the number of leading arguments that are the same in all runs; the compiler hoists
            what depends only on them out of the loop.
        times: the number of runs.
        copies: the number of runs at once.
        what: the name of a single run, if its time is limited too.
    """
    try:
        with jax.default_matmul_precision(PRECISION):  # as measured, so that traces are shared
            traced = jax.make_jaxpr(function)(*arguments)
    except jax.errors.JAXTypeError:  # a user's code that depends on values cannot be traced
        return None
    except RecursionError as error:
        if blame(error):
            raise
        return "is nested too deeply for Python"
    except Misfit as error:
        return str(error)
    except OverflowError:
        return "has arrays that do not fit into any memory"
    differs = [i >= fixed for i, one in enumerate(arguments) for _ in jax.tree.leaves(one)]
    found = cost(traced.jaxpr, differs)
    if reason := _too_long(found, times, what):
        return reason
    room = memory()
    held = found.largest * copies
    if room * _SUSPICIOUS < held < 4 * room:
        plan = jax.jit(function).lower(*arguments).compile().memory_analysis()
        held = copies * (plan.temp_size_in_bytes + plan.output_size_in_bytes) if plan else held
    if held > room:
        return f"would take {_size(held)} of memory; available: {_size(room)}"
    return None


def _too_long(cost: Cost, times: float, what: str | None) -> str | None:
    devices = jax.devices()
    on_cpu = devices[0].platform == "cpu"
    rate = CORE_RATE * num_cores() if on_cpu else ACCELERATOR_RATE * len(devices)
    one = (cost.once + cost.each) / rate
    if what and one > MAX_SECONDS_OF_ONE:
        return f"would take at least {one:,.0f} seconds for {what} (maximum {MAX_SECONDS_OF_ONE})"
    seconds = (cost.once + cost.each * times) / rate
    if seconds > MAX_SECONDS:
        most = MAX_SECONDS // 86400
        return f"would take at least {seconds / 86400:,.0f} days (maximum {most})"
    return None


def _shapes(function: Callable, *arguments: Any) -> Any:
    try:
        return jax.eval_shape(function, *arguments)
    except jax.errors.JAXTypeError:
        return None
    except OverflowError as error:
        raise UsageError(f"arrays that do not fit into any memory: {error}") from error


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"
