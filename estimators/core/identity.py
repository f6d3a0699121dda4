"""Printable identities: `describe` and its inverse `parse`; and stacks of estimators for sweeps."""

import contextlib
import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from estimators.core.fields import declared, settle

T = TypeVar("T")

_DEEPEST = 20
"""Maximum nesting of names; no estimator exceeds three."""


class Named:
    """Base class of frozen dataclasses with a printable identity, inverse to `parse`."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __post_init__(self) -> None:
        """Convert numbers to the declared types of their fields, so that 1 and 1.0 are equal."""
        settle(self)

    def __str__(self) -> str:
        """Return the identity, such as `GumbelSoftmax[temperature=0.5]`."""
        return describe(self)

    def check(self) -> None:
        """Raise ValueError or TypeError if a concrete setting is out of range."""


def describe(value: Any, *, positional: bool = False) -> str:
    """Return `Name[field=value,...]` of a dataclass, without fields that have their default value.

    Numbers are written as the shortest decimal that parses back to the same value in their dtype.
    Learned parameters are not shown.

    Args:
        value: the dataclass.
        positional: whether to leave out the names of fields that `parse` can read by position:
            those before the first default, except True, False and None, which say nothing alone.

    Raises:
        ValueError: for a stack of estimators, which has no single name.
    """
    shown, in_place = [], positional
    # Fields that cannot be given by position come last.
    for field in sorted(dataclasses.fields(value), key=lambda field: bool(field.kw_only)):
        current = getattr(value, field.name)
        if field.metadata.get("learned"):
            continue
        if _is_default(field, current):
            in_place = False
            continue
        text = _describe_field(type(value).__name__, field.name, current, positional)
        in_place = in_place and not field.kw_only and text not in ("True", "False", "None")
        shown.append(text if in_place else f"{field.name}={text}")
    return type(value).__name__ + (f"[{','.join(shown)}]" if shown else "")


def _is_default(field: dataclasses.Field[Any], current: Any) -> bool:
    default = field.default
    if isinstance(current, jax.Array | np.ndarray | np.generic):
        scalar = isinstance(default, int | float) and np.ndim(current) == 0
        return scalar and np.asarray(default, current.dtype) == current
    if dataclasses.is_dataclass(current):
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        return type(default) is type(current) and describe(default) == describe(current)
    return bool(default is not dataclasses.MISSING and current == default)


def _describe_field(owner: str, name: str, value: Any, positional: bool) -> str:
    if dataclasses.is_dataclass(value):
        return describe(value, positional=positional)
    if isinstance(value, Tracer):
        raise ValueError(f"{owner} cannot be named while it is traced: {name} has no value yet")
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        if np.ndim(value):
            raise ValueError(f"a stack of {owner} has no single name: unstack it first")
        return str(np.asarray(value)[()])
    return str(value)


def parse(text: str, known: Mapping[str, type], required: Mapping[str, Any] = {}) -> Any:
    """Build the value that `describe` named: `Name`, `Name[value]` or `Name[field=value,...]`.

    Names nest. A value is read as its field's declared type; for `Any`, as a number, True, False or
    None if possible, else as a string.

    Args:
        text: the identity. Fields may be given by position, in the order of the constructor.
        known: the classes that may be named, by name.
        required: values of fields without a default, used where the text does not give them; not
            for components.

    Raises:
        ValueError: naming the error, the allowed values, and the nearest known name.
    """
    named, rest = _named(text, re.findall(r"[\[\],=]|[^\[\],=\s]+", text))
    if rest:
        raise ValueError(f"cannot read {text!r}: nothing can follow the name and its fields")
    if named.name not in known:
        raise ValueError(_unknown(text, named.name, known))
    return _build(text, named, known, required)


class _Named(NamedTuple):
    """A name and the fields in its brackets, positional and named."""

    name: str
    positional: tuple["_Named", ...] = ()
    fields: Mapping[str, "_Named"] = {}
    bracketed: bool = False


def _named(text: str, tokens: Sequence[str], depth: int = 0) -> tuple[_Named, Sequence[str]]:
    if not tokens or tokens[0] in "[],=":
        raise ValueError(f"cannot read {text!r}: write Name or Name[field=value,...]")
    word, *rest = tokens
    if rest[:1] != ["["]:
        return _Named(word), rest
    if depth == _DEEPEST:
        raise ValueError(f"cannot read {text!r}: brackets are nested more than {_DEEPEST} deep")
    positional: list[_Named] = []
    fields: dict[str, _Named] = {}
    rest = rest[1:]
    while rest[:1] != ["]"]:
        name = None
        if rest[1:2] == ["="]:
            name, rest = rest[0], rest[2:]
        value, rest = _named(text, rest, depth + 1)
        if name is None and fields:
            raise ValueError(f"cannot read {text!r}: positional values come before named ones")
        if name in fields:
            raise ValueError(f"{text!r} gives {name} twice")
        if name is None:
            positional.append(value)
        else:
            fields[name] = value
        if rest[:1] == [","]:
            rest = rest[1:]
        elif rest[:1] != ["]"]:
            raise ValueError(f"cannot read {text!r}: a closing ] is missing")
    return _Named(word, tuple(positional), fields, bracketed=True), rest[1:]


def _build(
    text: str, named: _Named, known: Mapping[str, type], required: Mapping[str, Any] = {}
) -> Any:
    cls = known[named.name]
    fields = {
        f.name: f for f in dataclasses.fields(cls) if f.init and not f.metadata.get("learned")
    }
    for name in named.fields:
        if name not in fields:
            raise ValueError(
                f"{cls.__name__} has no field {name!r}{nearest(name, fields)}; "
                + (f"choose from {', '.join(fields)}" if fields else "it has none")
            )
    ordered = [name for name, field in fields.items() if not field.kw_only]
    if len(named.positional) > len(ordered):
        raise ValueError(
            f"{cls.__name__} takes {len(ordered)} values, not {len(named.positional)}: {text!r}"
        )
    given = dict(zip(ordered, named.positional, strict=False))
    if repeated := given.keys() & named.fields.keys():
        raise ValueError(f"{text!r} gives {', '.join(repeated)} twice")
    given |= named.fields
    needed = {
        name
        for name, field in fields.items()
        if (field.default, field.default_factory) == (dataclasses.MISSING, dataclasses.MISSING)
    }
    for name in fields:
        if name in needed - given.keys() - required.keys():
            raise ValueError(f"{cls.__name__} needs {name}: write {cls.__name__}[{name}=...]")
    values = {name: value for name, value in required.items() if name in needed}
    values |= {name: _read(text, cls, name, value, known) for name, value in given.items()}
    try:
        value = cls(**values)
        value.check()
    except TypeError as error:
        raise ValueError(f"{text}: {error}") from error
    return value


def _read(text: str, owner: type, name: str, value: _Named, known: Mapping[str, type]) -> Any:
    """Return a field's value, as the first of its declared types that accepts it."""
    word = value.name
    allowed: list[str] = []
    if value.bracketed and word not in known:
        raise ValueError(_unknown(text, word, known))
    for kind in sorted(declared(owner)[name], key=lambda kind: kind is str):  # accepts any text
        if (choices := _choices(kind)) is not None:
            if word in choices and not value.bracketed:
                return choices[word]
            allowed += choices
        elif kind in (int, float, str):
            if not value.bracketed:
                with contextlib.suppress(ValueError):
                    return kind(word)
            allowed.append({int: "an integer", float: "a number", str: "text"}[kind])
        elif isinstance(kind, type) and kind is not Any:
            fitting = [key for key, cls in known.items() if issubclass(cls, kind)]
            if word in fitting:
                return _build(text, value, known)
            allowed += fitting
        else:
            return _build(text, value, known) if word in known else _literal(word)
    one = "one of " if len(allowed) > 1 else ""
    raise ValueError(
        f"{owner.__name__} {name} must be {one}{', '.join(allowed)}, not {word!r}"
        f"{nearest(word, allowed)}"
    )


def _choices(kind: Any) -> dict[str, Any] | None:
    """Return the values of a finite type by their spelling, None for other types."""
    if kind is type(None):
        return {"None": None}
    if kind is bool:
        return {"True": True, "False": False}
    if typing.get_origin(kind) is Literal:
        return {str(choice): choice for choice in typing.get_args(kind)}
    return None


def _literal(word: str) -> Any:
    constants = {"True": True, "False": False, "None": None}
    if word in constants:
        return constants[word]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(word)
    return word


def _unknown(text: str, word: str, known: Mapping[str, type]) -> str:
    return f"unknown name {word!r} in {text!r}{nearest(word, known)}; known: {', '.join(known)}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'X'?)` for the nearest known word, or an empty string."""
    folded = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), folded, 1)
    return f" (did you mean {folded[found[0]]!r}?)" if found else ""


def stack(members: Sequence[T]) -> T:
    """Stack pytrees of one structure leaf by leaf, to be mapped over with `jax.vmap`.

    Raises:
        ValueError: for an empty sequence, or where types or static fields differ.
    """
    if not members:
        raise ValueError("nothing to stack")
    structures = {jax.tree.structure(member) for member in members}
    if len(structures) > 1:
        raise ValueError(
            f"only estimators of one structure can be stacked, not {', '.join(map(str, members))}"
        )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def unstack(stacked: T) -> list[T]:
    """Return the members of a stack.

    Raises:
        ValueError: if there are no leaves, or they do not share the size of their leading axis.
    """
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(stacked)}
    if len(sizes) != 1 or sizes == {()}:
        raise ValueError(
            f"{type(stacked).__name__} is not a stack: its leaves share no leading axis"
        )
    ((size,),) = sizes
    return [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(size)]
