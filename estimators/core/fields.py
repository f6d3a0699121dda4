"""Declared types of a frozen dataclass's fields, and conversion to them."""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, Union

import numpy as np


@functools.cache
def declared(cls: type) -> Mapping[str, tuple[Any, ...]]:
    """Return the declared types of a dataclass's fields by name; a union gives its members.

    `Any` where annotations cannot be evaluated, such as strings in a class inside a function.
    """
    try:
        hints = typing.get_type_hints(cls)
    except Exception:  # annotations may be any code
        hints = {}
    return {
        field.name: alternatives(hints.get(field.name, Any)) for field in dataclasses.fields(cls)
    }


def settle(value: Any) -> None:
    """Convert integers to floats in fields declared `float`, and numpy scalars to Python's."""
    for name, types_ in declared(type(value)).items():
        current = getattr(value, name)
        settled = current.item() if isinstance(current, np.generic) else current
        if type(settled) is int and float in types_ and int not in types_:
            settled = as_float(settled)
        if settled is not current:
            object.__setattr__(value, name, settled)


def as_float(number: int) -> float:
    """Convert an integer to a float; infinity if it is too large, which checks reject."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself, without type arguments.

    A type variable gives its constraints or its bound.
    """
    if isinstance(hint, TypeVar):
        return hint.__constraints__ or alternatives(hint.__bound__ or Any)
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return tuple(one for part in typing.get_args(hint) for one in alternatives(part))
    return (origin if Generic in getattr(origin, "__mro__", ()) else hint,)
