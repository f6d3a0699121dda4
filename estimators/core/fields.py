"""The declared types of a frozen dataclass's fields, and values brought to them."""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Union

import numpy as np


@functools.cache
def declared(cls: type) -> Mapping[str, tuple]:
    """Return the declared types of a dataclass's fields, by name: of a union, each.

    What cannot be found out, as in a class inside a function whose annotations are texts, is `Any`.
    """
    try:
        hints = typing.get_type_hints(cls)
    except Exception:  # annotations may be any code
        hints = {}
    return {field.name: _alternatives(hints.get(field.name, Any)) for field in _fields(cls)}


def settle(value: Any) -> None:
    """Make an integer a float where a field is declared to be one, and numpy's scalars Python's."""
    for name, types_ in declared(type(value)).items():
        current = getattr(value, name)
        settled = current.item() if isinstance(current, np.generic) else current
        if type(settled) is int and float in types_ and int not in types_:
            settled = as_float(settled)
        if settled is not current:
            object.__setattr__(value, name, settled)


def as_float(number: int) -> float:
    """Return an integer as a float, infinite where it is too large: what checks refuse."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _fields(cls: type) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(cls)  # type: ignore[arg-type]


def _alternatives(hint: Any) -> tuple:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(one for part in typing.get_args(hint) for one in _alternatives(part))
    return (hint,)
