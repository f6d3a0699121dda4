"""The JAX primitives behind `attach_gradient` and `attach_tuning`.

Not `jax.custom_jvp` or `jax.custom_vjp`, because JAX drops their rules from a `lax.scan` that has
been differentiated once, so they would be missing for a second estimator that differentiates f, or
for a second derivative.
"""

import contextlib
import contextvars
import inspect
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.typing import ArrayLike

_owner = contextvars.ContextVar("owner", default="attach_gradient")

# Whether the derivative being taken will be stopped. A JAX context, so that inner jits retrace.
_stopped = jax.make_user_context(False)

# Whether the caller has said that estimators do not learn.
_frozen = jax.make_user_context(False)

_INTERNAL = (
    contextlib.__file__,
    *(str(Path(file).parent) for file in (jax.__file__, Path(__file__).parent)),
)


class NotLearning(UserWarning):
    """An estimator that can learn is differentiated, but not with respect to its own parameters."""


def frozen() -> contextlib.AbstractContextManager[None]:
    """Return a context in which estimators may be differentiated without learning.

    Outside, the derivative of an estimator that can learn, with respect to the model but not to the
    estimator's own parameters, warns `NotLearning`: in a training loop the estimator would keep its
    initial baseline or control variate. Inside, as when a gradient is only measured, it does not.

    Example:
        `with frozen(): gradient = jax.grad(loss)(params, estimator, key)`
    """
    return _frozen(True)


@contextlib.contextmanager
def attached_by(name: str) -> Generator[None]:
    """Set the estimator named by the error on a second derivative taken inside."""
    token = _owner.set(name)
    try:
        yield
    finally:
        _owner.reset(token)


def slope_is_stopped() -> contextlib.AbstractContextManager[None]:
    """Allow the derivative taken inside to be differentiated again; the caller stops the result.

    Take only one derivative inside, of an already traced function: the block permits any.
    """
    return _stopped(True)


def attach(value: jax.Array, at: Iterable[ArrayLike], gradient: Iterable[Any]) -> jax.Array:
    """Return the scalar `value` with a gradient attached, one leaf for each leaf of `at`."""
    at = [jnp.asarray(leaf) for leaf in at]  # a user may pass a number
    gradient = list(gradient)
    if value.shape != ():
        raise ValueError(f"value must be a scalar, not of shape {value.shape}")
    for leaf, slope in zip(at, gradient, strict=True):
        if jnp.shape(slope) != leaf.shape:
            raise ValueError(
                f"gradient has a leaf of shape {jnp.shape(slope)} where `at` has one of shape "
                f"{leaf.shape}"
            )
    # Stopped here, so that the rules below see no tangents of the gradient.
    stopped = jax.lax.stop_gradient(gradient)
    return _attach_p.bind(value, *at, *stopped, owner=_owner.get())


def _attach_jvp(
    primals: Sequence[jax.Array], tangents: Sequence[Any], *, owner: str
) -> tuple[jax.Array, jax.Array]:
    value, *rest = primals
    half = len(rest) // 2
    at, gradient = rest[:half], rest[half:]
    value_dot, *at_dot = tangents[: 1 + half]
    terms: list[jax.Array] = []
    if not isinstance(value_dot, ad.Zero):
        terms.append(value_dot * _first(owner, jnp.ones_like(value), at))
    for slope, tangent in zip(gradient, at_dot, strict=True):
        if not isinstance(tangent, ad.Zero):
            slope = _first(owner, slope, [value, *at])
            # The value's (batch) axes come first. Computed in the leaf's dtype, like its gradient:
            # the precision of f may be lower or higher.
            product = slope.astype(tangent.dtype) * tangent
            change = product.sum(range(value.ndim, product.ndim)).astype(value.dtype)
            terms.append(jnp.broadcast_to(change, value.shape))
    # Attached again, since `value_and_grad` inside f differentiates f's value once more.
    return _attach_p.bind(*primals, owner=owner), sum(terms[1:], terms[0])


def _attach_batched(
    operands: Sequence[jax.Array], axes: Sequence[int | None], *, owner: str
) -> tuple[jax.Array, int]:
    size = next(
        operand.shape[axis]
        for operand, axis in zip(operands, axes, strict=True)
        if axis is not None
    )
    # Unbatched operands get an axis of size one; the value is broadcast, so that each gets its own
    # derivative.
    value, *rest = (
        operand[None] if axis is None else jnp.moveaxis(operand, axis, 0)
        for operand, axis in zip(operands, axes, strict=True)
    )
    value = jnp.broadcast_to(value, (size, *value.shape[1:]))
    return _attach_p.bind(value, *rest, owner=owner), 0


def sizes_of_cotangents(value: jax.Array) -> jax.Array:
    """Return `value`; its cotangent is replaced by the absolute value. Reverse mode only."""
    return _sizes_p.bind(value)


def watch(value: jax.Array, at: Iterable[ArrayLike]) -> jax.Array:
    """Return `value`; its derivative warns `NotLearning` unless one of `at` has a tangent too."""
    return _watch_p.bind(value, *map(jnp.asarray, at), owner=_owner.get())


def _watch_jvp(
    primals: Sequence[jax.Array], tangents: Sequence[Any], *, owner: str
) -> tuple[jax.Array, Any]:
    value_dot, *at_dot = tangents
    learns = any(not isinstance(tangent, ad.Zero) for tangent in at_dot)
    if not (learns or isinstance(value_dot, ad.Zero) or _stopped.value or _frozen.value):
        warnings.warn(
            f"{owner} does not learn: the loss is differentiated with respect to the model, but "
            "not to the estimator's own parameters. Take both gradients, as in "
            "jax.value_and_grad(loss, argnums=(0, 1))(params, estimator, ...), and apply the "
            "second by estimax.tuner(estimator), or both by estimax.with_tuner(optimiser); or, if "
            "it is not to learn, differentiate inside `with estimators.frozen():`",
            NotLearning,
            stacklevel=_callers_level(),
        )
    return _watch_p.bind(*primals, owner=owner), value_dot


def _callers_level() -> int:
    """Return the `stacklevel` of the nearest caller outside of JAX and this package."""
    frame, level = inspect.currentframe(), 0
    while frame and frame.f_code.co_filename.startswith(_INTERNAL):
        frame, level = frame.f_back, level + 1
    return level


def _first(owner: str, derivative: jax.Array, at: Iterable[jax.Array]) -> jax.Array:
    """Return `derivative`; differentiating it with respect to `at` raises TypeError."""
    return derivative if _stopped.value else _first_p.bind(derivative, *at, owner=owner)


def _first_jvp(primals: object, tangents: object, *, owner: str) -> NoReturn:
    del primals, tangents  # of `at` alone, since the derivative is stopped
    raise TypeError(
        f"{owner} estimates first derivatives only, but was differentiated twice with respect to "
        "its distribution or its own leaves. To read its gradient without differentiating it, "
        "stop the gradient of the distribution's parameters first"
    )


def _first_batched(
    operands: Sequence[jax.Array], axes: Sequence[int | None], *, owner: str
) -> tuple[jax.Array, int | None]:
    return _first_p.bind(*operands, owner=owner), axes[0]


def _watch_batched(
    operands: Sequence[jax.Array], axes: Sequence[int | None], *, owner: str
) -> tuple[jax.Array, int | None]:
    return _watch_p.bind(*operands, owner=owner), axes[0]


def _forward(tangent: object) -> NoReturn:
    raise TypeError(
        "leaves at which attach_tuning attaches a gradient, such as an estimator's own, cannot be "
        "differentiated in forward mode: use reverse mode"
    )


def elementwise(
    name: str, evaluate: Callable[[Any], Any], lower: Callable[[Any, Any], Any]
) -> Primitive:
    """Return a primitive without derivative, whose result has its operand's shape and dtype."""
    primitive = Primitive(name)
    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(lambda value: value)
    mlir.register_lowering(primitive, lower)
    batching.defvectorized(primitive)
    return primitive


def _returns_first(
    name: str, jvp: Callable[..., Any], batched: Callable[..., tuple[jax.Array, int | None]]
) -> Primitive:
    """Return a primitive whose result is its first operand."""
    primitive = Primitive(name)
    primitive.def_impl(lambda first, *_, owner: first)
    primitive.def_abstract_eval(lambda first, *_, owner: first)
    mlir.register_lowering(primitive, lambda _, first, *__, owner: [first])
    ad.primitive_jvps[primitive] = jvp
    batching.primitive_batchers[primitive] = batched
    return primitive


_attach_p = _returns_first("attach_gradient", _attach_jvp, _attach_batched)
_first_p = _returns_first("first_derivative_only", _first_jvp, _first_batched)
_watch_p = _returns_first("watch_learning", _watch_jvp, _watch_batched)

_sizes_p = elementwise("sizes_of_cotangents", lambda value: value, lambda _, value: [value])
# Reached only by transposition.
_tangent_p = elementwise("sizes_of_cotangents_tangent", _forward, lambda _, value: _forward(value))
ad.deflinear(_tangent_p, lambda cotangent: [jnp.abs(cotangent)])
ad.defjvp(_sizes_p, lambda tangent, value: _tangent_p.bind(tangent))
