"""The operation behind `attach_gradient`: a value with one more derivative.

A primitive of its own and no `jax.custom_jvp`, whose rule JAX drops from a `lax.scan` that was
differentiated once: a second estimator that differentiates f, or a second derivative, would find
none.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_owner = contextvars.ContextVar("owner", default="attach_gradient")

# How many derivatives that are stopped are being taken; a JAX context, for inner jits' sake.
_stopped = jax.make_user_context(0)


@contextlib.contextmanager
def attached_by(name: str) -> Iterator[None]:
    """Name who attaches gradients inside, for the error that a second derivative raises."""
    token = _owner.set(name)
    try:
        yield
    finally:
        _owner.reset(token)


def slope_is_stopped() -> contextlib.AbstractContextManager[None]:
    """Let what one derivative, taken inside, consists of be differentiated again, to be stopped."""
    return _stopped(_stopped.value + 1)


def attach(value: jax.Array, at: Sequence[Any], gradient: Sequence[Any]) -> jax.Array:
    """Return the scalar `value`, with the gradient in leaves attached at leaves."""
    at = [jnp.asarray(leaf) for leaf in at]  # a user may have written a number
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
    with _stopped(max(_stopped.value - 1, 0)):
        result = _attach_p.bind(*primals, owner=owner)
    return result, sum(terms[1:], terms[0])


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


def _first(owner, derivative, at):
    """Return `derivative`, which cannot be differentiated with respect to `at`."""
    return derivative if _stopped.value else _first_p.bind(derivative, *at, owner=owner)


def _first_jvp(primals, tangents, *, owner):
    del primals, tangents  # the derivative itself is stopped
    raise TypeError(
        f"{owner} estimates first derivatives only, and was differentiated twice with respect "
        "to its distribution. Where its gradient is only read, first stop the gradient of the "
        "distribution's parameters"
    )


def _first_batched(operands, axes, *, owner):
    return _first_p.bind(*operands, owner=owner), axes[0]


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
