"""The operations behind `attach_gradient` and `attach_tuning`: a value with one more derivative.

Primitives of their own and neither `jax.custom_jvp` nor `jax.custom_vjp`, whose rules JAX drops
from a `lax.scan` that was differentiated once: a second estimator that differentiates f, or a
second derivative, would find none.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_owner = contextvars.ContextVar("owner", default="attach_gradient")

# Whether the derivative under way will be stopped. A JAX context, so that inner jits retrace.
_stopped = jax.make_user_context(False)


@contextlib.contextmanager
def attached_by(name: str) -> Iterator[None]:
    """Name who attaches gradients inside, for the error that a second derivative raises."""
    token = _owner.set(name)
    try:
        yield
    finally:
        _owner.reset(token)


def slope_is_stopped() -> contextlib.AbstractContextManager[None]:
    """Allow the derivative taken inside to be differentiated again; the caller stops its result.

    Inside, one derivative is taken of what is traced already: any other would be allowed it too.
    """
    return _stopped(True)


def attach(value: jax.Array, at: Sequence[Any], gradient: Sequence[Any]) -> jax.Array:
    """Return the scalar `value`, with the gradient in leaves attached at leaves."""
    at = [jnp.asarray(leaf) for leaf in at]  # a user may have written a number
    if value.shape != ():
        raise ValueError(f"value must be a scalar, not of shape {value.shape}")
    for leaf, slope in zip(at, gradient, strict=True):
        if jnp.shape(slope) != leaf.shape:
            raise ValueError(
                f"gradient has a leaf of shape {jnp.shape(slope)} where `at` has one of shape "
                f"{leaf.shape}"
            )
    # Stopped here: the rules below are called for the others' derivatives alone.
    stopped = jax.lax.stop_gradient(list(gradient))
    return _attach_p.bind(value, *at, *stopped, owner=_owner.get())


def _attach_jvp(primals, tangents, *, owner):
    value, *rest = primals
    half = len(rest) // 2
    at, gradient = rest[:half], rest[half:]
    value_dot, *at_dot = tangents[: 1 + half]
    terms = []
    if not isinstance(value_dot, ad.Zero):
        terms.append(value_dot * _first(owner, jnp.ones_like(value), at))
    for slope, tangent in zip(gradient, at_dot, strict=True):
        if not isinstance(tangent, ad.Zero):
            slope = _first(owner, slope, [value, *at])
            # Behind the axes of the value, those of a batch. In the type of the leaf, as its
            # gradient is: f may be less precise, or more.
            product = slope.astype(tangent.dtype) * tangent
            change = product.sum(range(value.ndim, product.ndim)).astype(value.dtype)
            terms.append(jnp.broadcast_to(change, value.shape))
    # Attached again: f's value is differentiated once more where f's slope was asked for with it.
    return _attach_p.bind(*primals, owner=owner), sum(terms[1:], terms[0])


def _attach_batched(operands, axes, *, owner):
    size = next(
        operand.shape[axis]
        for operand, axis in zip(operands, axes, strict=True)
        if axis is not None
    )
    # One for all has an axis of one; the value has the whole batch, for each has its derivative.
    value, *rest = (
        operand[None] if axis is None else jnp.moveaxis(operand, axis, 0)
        for operand, axis in zip(operands, axes, strict=True)
    )
    value = jnp.broadcast_to(value, (size, *value.shape[1:]))
    return _attach_p.bind(value, *rest, owner=owner), 0


def sizes_of_cotangents(value: jax.Array) -> jax.Array:
    """Return `value`, whose derivative takes each cotangent's absolute value. Reverse mode only."""
    return _sizes_p.bind(value)


def _first(owner, derivative, at):
    """Return `derivative`, which cannot be differentiated with respect to `at`."""
    return derivative if _stopped.value else _first_p.bind(derivative, *at, owner=owner)


def _first_jvp(primals, tangents, *, owner):
    del primals, tangents  # the derivative itself is stopped
    raise TypeError(
        f"{owner} estimates first derivatives only, and was differentiated twice with respect "
        "to its distribution or its own leaves. Where its gradient is only read, first stop the "
        "gradient of the distribution's parameters"
    )


def _first_batched(operands, axes, *, owner):
    return _first_p.bind(*operands, owner=owner), axes[0]


def _forward(tangent):
    del tangent
    raise TypeError(
        "forward mode cannot differentiate with respect to what attach_tuning attaches at, such as "
        "an estimator's own leaves: use reverse mode"
    )


def elementwise(name: str, evaluate: Callable, lower: Callable) -> Primitive:
    """Return a primitive of one array, whose result has its type; it has no derivative yet."""
    primitive = Primitive(name)
    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(lambda value: value)
    mlir.register_lowering(primitive, lower)
    batching.defvectorized(primitive)
    return primitive


def _returns_first(name, jvp, batched):
    primitive = Primitive(name)
    primitive.def_impl(lambda first, *_, owner: first)
    primitive.def_abstract_eval(lambda first, *_, owner: first)
    mlir.register_lowering(primitive, lambda _, first, *__, owner: [first])
    ad.primitive_jvps[primitive] = jvp
    batching.primitive_batchers[primitive] = batched
    return primitive


_attach_p = _returns_first("attach_gradient", _attach_jvp, _attach_batched)
_first_p = _returns_first("first_derivative_only", _first_jvp, _first_batched)

_sizes_p = elementwise("sizes_of_cotangents", lambda value: value, lambda _, value: [value])
# Only ever transposed.
_tangent_p = elementwise("sizes_of_cotangents_tangent", _forward, lambda _, value: _forward(value))
ad.deflinear(_tangent_p, lambda cotangent: [jnp.abs(cotangent)])
ad.defjvp(_sizes_p, lambda tangent, value: _tangent_p.bind(tangent))
