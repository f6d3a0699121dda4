"""Python that builds a value: what `repr` of an estimator returns."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def python(value: Any) -> str:
    """Return Python that builds a value, with the names of `estimators` and `jnp` in scope.

    A dataclass is written as a call of its constructor, without fields that have their default
    value, but with learned parameters; numbers as the shortest decimals that give the same value in
    their dtype. A traced value has its own representation, which is not Python.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(one, getattr(value, one.name)) for one in dataclasses.fields(value) if one.init]
        texts = [(field, python(current)) for field, current in fields]
        shown = [f"{field.name}={text}" for field, text in texts if text != _default(field)]
        return f"{type(value).__name__}({', '.join(shown)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {python(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Tracer) or not isinstance(value, jax.Array | np.ndarray):
        return repr(value)
    array = np.asarray(value)
    is_plain = array.ndim == 0 and array.dtype == jnp.result_type(float) and np.isfinite(array)
    return (
        _digits(array) if is_plain else f"jnp.array({_digits(array)}, dtype={array.dtype.name!r})"
    )


def _default(field: dataclasses.Field[Any]) -> str | None:
    """Return the Python of a field's default value, None if it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return python(field.default_factory())
    return None if field.default is dataclasses.MISSING else python(field.default)


def _digits(array: np.ndarray) -> str:
    if array.ndim:
        return f"[{', '.join(map(_digits, array))}]"
    text = str(array[()])
    return text if np.isfinite(array) else f"float({text!r})"
