"""Input checks. Checks of traced values become conditions on the result."""

import contextlib
import contextvars
import math
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike, DTypeLike

from estimators.core.fields import as_float


class Misfit(ValueError):
    """What an estimator takes is not what it is called with."""


_conditions: contextvars.ContextVar[list[jax.Array] | None] = contextvars.ContextVar(
    "conditions", default=None
)


@contextlib.contextmanager
def traced_conditions() -> Generator[list[jax.Array]]:
    """Collect conditions that traced numbers are in range, from the checks inside the block."""
    found: list[jax.Array] = []
    token = _conditions.set(found)
    try:
        yield found
    finally:
        _conditions.reset(token)


def one_or_nan(conditions: list[jax.Array], dtype: DTypeLike) -> jax.Array:
    """Return one if all conditions hold, else NaN."""
    held = jnp.stack(conditions).all()
    return jnp.where(held, jnp.ones((), dtype), jnp.full((), jnp.nan, dtype))


def is_concrete(value: Any) -> bool:
    """Return whether `value` is a number or an array with known values, not a tracer."""
    return isinstance(value, (bool, int, float, np.ndarray, np.generic)) or (
        isinstance(value, jax.Array) and not isinstance(value, Tracer)
    )


def is_number(value: Any) -> bool:
    """Return whether `value` is a number or an array, not Boolean, with known values."""
    return is_concrete(value) and np.dtype(bool) != getattr(value, "dtype", type(value))


def in_range(value: ArrayLike, dtype: DTypeLike) -> bool:
    """Return whether converting to `dtype` neither overflows nor gives zero or a subnormal."""
    with np.errstate(over="ignore", under="ignore"):
        cast = np.asarray(value, dtype)
    overflows = np.isinf(cast) & ~np.isinf(value)
    underflows = (np.abs(cast) < jnp.finfo(dtype).tiny) & (np.asarray(value) != 0)
    return not np.any(overflows | underflows)


def check_number(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is a number, an array of numbers or traced."""
    if not (is_number(value) or isinstance(value, Tracer)):
        raise TypeError(f"{name} must be a number or an array of numbers, not {value!r}")


def check_finite(name: str, value: Any) -> None:
    """Raise unless `value` is a number and, where concrete, finite in the dtype it is used in."""
    check_number(name, value)
    if is_concrete(value) and not np.all(np.isfinite(_as_used(value))):
        raise ValueError(f"{name} must be finite, not {value}{_range(value)}")


def check_positive(name: str, value: Any) -> None:
    """Raise unless `value` is a number and, where concrete, positive, finite and not subnormal."""
    check_number(name, value)
    if not is_concrete(value):
        add_condition((value > 0) & (value < jnp.inf))
        return
    used = _as_used(value)
    # XLA flushes subnormal numbers to zero.
    if not (np.all(used >= jnp.finfo(used.dtype).tiny) and np.all(np.isfinite(used))):
        raise ValueError(f"{name} must be above zero and finite, not {value}{_range(value)}")


def _as_used(value: Any) -> np.ndarray:
    """Return numbers in the floating-point dtype that JAX computes with."""
    with np.errstate(over="ignore"):
        return np.asarray(as_float(value) if type(value) is int else value, _type(value))


def _type(value: Any) -> np.dtype[Any]:
    dtype = jnp.result_type(value)
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def _range(value: Any) -> str:
    if not (isinstance(value, int | float) and 0 < abs(value) < float("inf")):
        return ""
    limits = jnp.finfo(_type(value))
    return f": {limits.dtype} holds {limits.tiny:.2g} to {limits.max:.2g}"


def check_between(name: str, value: Any, low: float, high: float) -> None:
    """Raise unless `value` is a number and, where concrete, in [low, high) and finite."""
    allowed = f"at least {low} and below {high}"
    if high == math.inf:
        check_finite(name, value)
        allowed = f"at least {low}"
    _check_range(name, value, lambda x: (x >= low) & (x < high), allowed)


def check_at_most(name: str, value: Any, high: float) -> None:
    """Raise unless `value` is a number and, where concrete, at most `high`."""
    _check_range(name, value, lambda x: x <= high, f"at most {high:.6g}")


def check_not_negative(name: str, value: Any) -> None:
    """Raise unless `value` is a number and, where concrete, at least zero; it may be infinite."""
    _check_range(name, value, lambda x: x >= 0, "at least 0")


def check_share(name: str, value: Any) -> None:
    """Raise unless `value` is a number and, where concrete, in [0, 1]."""
    _check_range(name, value, lambda x: (x >= 0) & (x <= 1), "at least 0 and at most 1")


def check_untouched(name: str, value: Any) -> None:
    """Raise ValueError unless a counter is zero: an optimiser of the model would move it."""
    if not is_concrete(value):
        add_condition(value == 0)
    elif np.any(np.asarray(value) != 0):
        raise ValueError(
            f"{name} is {value}, not 0: an optimiser of the model has updated the estimator; "
            "update it by estimax.tuner(estimator), since a moving average follows a rule of its "
            "own"
        )


def _check_range(name: str, value: Any, holds: Callable[[Any], Any], allowed: str) -> None:
    check_number(name, value)
    if is_concrete(value):
        if not np.all(holds(np.asarray(value))):
            raise ValueError(f"{name} must be {allowed}, not {value}")
    else:
        add_condition(holds(value))


def add_condition(holds: jax.Array) -> None:
    """Require of traced values what could not be checked: the estimate is NaN unless it holds."""
    if (conditions := _conditions.get()) is not None:
        conditions.append(holds.all())


def check_count(name: str, value: object, least: int) -> None:
    """Raise unless `value` is an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def check_choice(name: str, value: object, choices: Sequence[str] | Sequence[bool]) -> None:
    """Raise ValueError unless `value` equals one of `choices` and has its type: 1 is not True."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}")


def check_precision(name: str, value: Any) -> None:
    """Raise unless `value` is a float, a float32 or float64 array, or traced."""
    numeric = is_concrete(value) or isinstance(value, Tracer)
    if numeric and (dtype := jnp.result_type(value)) not in (jnp.float32, jnp.float64):
        raise TypeError(f"{name} must be float32 or float64, not {dtype}")
    check_number(name, value)


def check_floating(name: str, value: Any) -> None:
    """Raise unless `value` is a float, or a float32 or float64 array, and finite where concrete."""
    check_precision(name, value)
    check_finite(name, value)


def is_key(value: object) -> TypeGuard[jax.Array]:
    """Return whether `value` is a typed random key, or an array of them."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def check_key(key: object) -> None:
    """Raise unless `key` is a single typed random key."""
    if not is_key(key):
        is_legacy = isinstance(key, jax.Array | np.ndarray) and key.dtype == np.uint32
        shown = "a legacy PRNGKey" if is_legacy else type(key).__name__
        raise TypeError(f"key must be a typed random key from jax.random.key, not {shown}")
    if key.shape != ():
        raise ValueError(f"key must be one key, not {key.shape}: batch with jax.vmap over keys")
