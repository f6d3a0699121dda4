"""Sequences: nested calls of an estimator, one for each step, under `jax.lax.scan`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.flatten_util import ravel_pytree

from estimators.core.attaching import frozen
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient, value_and_slope
from estimators.core.objective import Objective, with_context
from estimators.core.validation import check_count, check_key


def sequence(
    estimator: Estimator[Any, Any],
    key: jax.Array,
    start: Any,
    distribution: Callable[[Any, Any], Distribution],
    advance: Callable[[Any, jax.Array, Any], tuple[Any, jax.Array]],
    *,
    inputs: Any = None,
    length: int | None = None,
    context: Callable[[Any, Any], jax.Array] | None = None,
) -> jax.Array:
    r"""Estimate the expected total cost of a sequence of random variables.

    With states $s_0$ (`start`), $z_t \sim q(s_t, x_t)$ and $s_{t+1}, c_t = \mathrm{advance}(s_t,
    z_t, x_t)$, it is an estimate of $E \sum_t c_t$: $V_0(s_0)$ of the nested calls

        V(t, s) = estimator(keys[t], q(s, x[t]), lambda z: c + V(t + 1, next))
        where next, c = advance(s, z, x[t])

    with `keys = jax.random.split(key, length)`, up to rounding. Nested calls trace every step; here
    the steps are one scan forward, for the states, one backward, for the value and the slope of
    $V_t$ (a cost to go and its derivative in the state), and one pass for the gradient. As nested
    calls, an estimator takes the costs from its step on alone.

    It needs an estimator with one evaluation of f: n of them would be $n^T$ nested evaluations. For
    another, such as one with `LeaveOneOut`, draw whole sequences, each of which is one sample.

    Args:
        estimator: the estimator, as in a single call.
        key: a typed random key, consumed.
        start: the first state: a pytree of arrays. Derivatives flow through its floating-point
            leaves.
        distribution: returns the distribution of a step, from its state and input.
        advance: returns the next state, whose leaves have the shapes and types of the last one's,
            and the cost, a scalar, from the state, the sample and the input.
        inputs: a pytree of arrays with steps along their first axis, or None.
        length: the number of steps; by default that of the inputs.
        context: returns what networks of the estimator know of a step (`with_context`), from its
            state and input.

    Returns:
        A scalar, whose derivative with respect to anything upstream is the gradient estimate, as
        for a call of the estimator; the estimator's own leaves learn from every step.

    Raises:
        ValueError: for an estimator with several evaluations of f, or without a length.
        TypeError: as the estimator, and if the states differ in type.
    """
    if length is None:
        sizes = {len(leaf) for leaf in jax.tree.leaves(inputs)}
        if len(sizes) != 1:
            raise ValueError("sequence needs a length, or inputs with one for each step")
        (length,) = sizes
    check_count("length", length, 1)
    check_key(key)
    start = jax.tree.map(jnp.asarray, start)
    keys = jax.random.split(key, length)
    _check(estimator, start, distribution, advance, _at(inputs, 0))

    def call(state: Any, key: jax.Array, x: Any, f: Objective) -> jax.Array:
        f = with_context(f, context(state, x)) if context else f
        return estimator(key, distribution(state, x), f)

    def value(state: Any, key: jax.Array, x: Any, after: tuple[jax.Array, jax.Array]) -> jax.Array:
        """Return V of a step; after it, V has the value and the slope in its state of `after`."""

        def f(sample: jax.Array) -> jax.Array:
            following, cost = advance(state, sample, x)
            to_go, slope = after
            return cost + attach_gradient(jnp.asarray(to_go, cost.dtype), _moving(following), slope)

        return call(state, key, x, f)

    def forward(state: Any, step: Any) -> tuple[Any, Any]:
        key, x = step
        own = jax.eval_shape(distribution, state, x)
        zeros = jnp.zeros(own.event_shape, own.dtype)

        def linear(weights: jax.Array) -> jax.Array:
            return call(state, key, x, lambda sample: jnp.sum(weights * sample))

        # Its derivative in the weights is f's at the sample: the sample itself.
        _, sample = value_and_slope(linear)(zeros)
        return advance(state, sample, x)[0], state

    def backward(after: Any, step: Any) -> tuple[Any, Any]:
        key, x, state = step

        def of(moving: jax.Array) -> jax.Array:
            return value(_moved(state, moving), key, x, after)

        found, slope = value_and_slope(of)(_moving(state))
        return (found.astype(after[0].dtype), slope), after

    def passes(start: Any, keys: jax.Array, inputs: Any) -> tuple[Any, Any]:
        """Return the states, and of each step the value and slope after it."""
        with frozen():
            _, states = jax.lax.scan(forward, start, (keys, inputs))
            zeros = jnp.zeros_like(_moving(start))
            kind = jax.eval_shape(value, start, keys[0], _at(inputs, 0), (0.0, zeros))
            last = jnp.zeros((), kind.dtype), zeros
            _, after = jax.lax.scan(backward, last, (keys, inputs, states), reverse=True)
        return states, after

    states, after = _without_derivative(passes, start, keys, inputs)
    first = value(start, keys[0], _at(inputs, 0), _at(after, 0))
    if length == 1:
        return first
    later = jax.tree.map(lambda leaf: leaf[1:], (states, keys, inputs, after))
    values = jax.vmap(value)(*later)
    # The first step's value is that of the sequence; of the later steps only derivatives lack.
    return first + (values - jax.lax.stop_gradient(values)).sum()


def _without_derivative(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return a function's result, stopped in its arguments and in all that it closes over.

    Stopping the result would trace derivatives nevertheless, though nothing would use them.
    """
    traced, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    stopped = jax.lax.stop_gradient((traced.consts, jax.tree.leaves(arguments)))
    found = jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, stopped[0]))(*stopped[1])
    return jax.tree.unflatten(jax.tree.structure(shape), found)


def _at(tree: Any, place: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[place], tree)


def _moving(state: Any) -> jax.Array:
    """Return the floating-point leaves of a state as one vector."""
    return ravel_pytree(_floating(state))[0]


def _moved(state: Any, moving: jax.Array) -> Any:
    """Return a state with other floating-point leaves."""
    leaves = iter(ravel_pytree(_floating(state))[1](moving))
    return jax.tree.map(lambda leaf: next(leaves) if _is_floating(leaf) else leaf, state)


def _floating(state: Any) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(state) if _is_floating(leaf)]


def _is_floating(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _check(
    estimator: Estimator[Any, Any],
    start: Any,
    distribution: Callable[[Any, Any], Distribution],
    advance: Callable[[Any, jax.Array, Any], tuple[Any, jax.Array]],
    x: Any,
) -> None:
    """Raise unless the estimator evaluates f once, and states stay of one type."""
    first = jax.eval_shape(distribution, start, x)
    name = type(estimator).__name__
    if reason := estimator.refusal(first):
        raise ValueError(f"{name}: {reason}")
    if (count := estimator.evaluations(first)) != 1:
        raise ValueError(
            f"{name} evaluates f {count:,} times: in a sequence, each step would multiply them; "
            "draw whole sequences as one sample, or use an estimator with one evaluation"
        )
    sample = jax.ShapeDtypeStruct(first.event_shape, first.dtype)
    following, _ = jax.eval_shape(advance, start, sample, x)
    taken, given = (jax.tree.map(_kind, state) for state in (start, following))
    if taken != given:
        raise TypeError(f"advance must return a state like the one it takes: {taken}, not {given}")


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"
