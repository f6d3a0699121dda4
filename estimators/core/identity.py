"""Names of estimators: `str` and its inverse `parse`; and stacks of estimators for sweeps."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

T = TypeVar("T")


def describe(value: Any) -> str:
    """Return `Name[field=value,...]` of a dataclass, without the fields that have their default.

    A number is the shortest decimal that its own type reads back. A learned network is not
    identity.

    Raises:
        ValueError: for a stack of estimators, which has no one name.
    """
    shown = []
    # What cannot be given by position comes last.
    for field in sorted(dataclasses.fields(value), key=lambda field: bool(field.kw_only)):
        current = getattr(value, field.name)
        if field.metadata.get("learned") or _is_default(field, current):
            continue
        shown.append(f"{field.name}={_describe_field(type(value).__name__, field.name, current)}")
    return type(value).__name__ + (f"[{','.join(shown)}]" if shown else "")


def _is_default(field: dataclasses.Field, current: Any) -> bool:
    default = field.default
    if isinstance(current, jax.Array | np.ndarray | np.generic):
        scalar = isinstance(default, int | float) and np.ndim(current) == 0
        return scalar and np.asarray(default, current.dtype) == current
    if dataclasses.is_dataclass(current):
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        return type(default) is type(current) and describe(default) == describe(current)
    return bool(default is not dataclasses.MISSING and current == default)


def _describe_field(owner: str, name: str, value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return describe(value)
    if isinstance(value, Tracer):
        raise ValueError(f"{owner} cannot be named while it is traced: {name} has no value yet")
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        if np.ndim(value):
            raise ValueError(f"a stack of {owner} has no one name: unstack it first")
        return str(np.asarray(value)[()])
    return str(value)


def parse(text: str, known: Mapping[str, type]) -> Any:
    """Build what `describe` named: `Name`, `Name[value]`, `Name[field=value,...]`, nested at will.

    Args:
        text: the identity. Fields may be given by position, in the order of the constructor.
        known: the classes that may be named.

    Raises:
        ValueError: naming what is wrong, what is allowed and the nearest known name.
    """
    tokens = re.findall(r"[\[\],=]|[^\[\],=\s]+", text)
    value, rest = _parse_value(text, tokens, known)
    if not dataclasses.is_dataclass(value):
        raise ValueError(_unknown(text, tokens[0], known))
    if rest:
        raise ValueError(f"cannot read {text!r}: nothing can follow the name and its fields")
    return value


def _parse_value(text: str, tokens: Sequence[str], known: Mapping[str, type]):
    if not tokens or tokens[0] in "[],=":
        raise ValueError(f"cannot read {text!r}: write Name or Name[field=value,...]")
    word, *rest = tokens
    if rest[:1] != ["["]:
        return (_build(text, known[word], [], {}) if word in known else _literal(word)), rest
    if word not in known:
        raise ValueError(_unknown(text, word, known))
    positional, named, rest = [], {}, rest[1:]
    while rest[:1] != ["]"]:
        name = None
        if rest[1:2] == ["="]:
            name, rest = rest[0], rest[2:]
        value, rest = _parse_value(text, rest, known)
        if name is None and named:
            raise ValueError(f"cannot read {text!r}: positions come before names")
        if name in named:
            raise ValueError(f"{text!r} gives {name} twice")
        if name is None:
            positional.append(value)
        else:
            named[name] = value
        if rest[:1] == [","]:
            rest = rest[1:]
        elif rest[:1] != ["]"]:
            raise ValueError(f"cannot read {text!r}: a closing ] is missing")
    return _build(text, known[word], positional, named), rest[1:]


def _build(text: str, cls: type, positional: list, named: dict):
    fields = {
        f.name: f for f in dataclasses.fields(cls) if f.init and not f.metadata.get("learned")
    }
    for name in named:
        if name not in fields:
            raise ValueError(
                f"{cls.__name__} has no {name!r}{nearest(name, fields)}; it has: "
                f"{', '.join(fields) or 'nothing to set'}"
            )
    ordered = [name for name, field in fields.items() if not field.kw_only]
    if len(positional) > len(ordered):
        raise ValueError(
            f"{cls.__name__} takes {len(ordered)} values, not {len(positional)}: {text!r}"
        )
    values = dict(zip(ordered, positional, strict=False))
    if repeated := values.keys() & named.keys():
        raise ValueError(f"{text!r} gives {', '.join(repeated)} twice")
    values |= named
    for name, field in fields.items():
        default = (field.default, field.default_factory)
        if name not in values and default == (dataclasses.MISSING, dataclasses.MISSING):
            raise ValueError(f"{cls.__name__} needs {name}: write {cls.__name__}[{name}=...]")
    try:
        value = cls(**values)
        value.check()
    except TypeError as error:
        raise ValueError(f"{text}: {error}") from error
    return value


def _literal(word: str) -> Any:
    constants = {"True": True, "False": False, "None": None}
    if word in constants:
        return constants[word]
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            pass
    return word


def _unknown(text: str, word: str, known: Mapping[str, type]) -> str:
    return f"unknown name {word!r} in {text!r}{nearest(word, known)}; known: {', '.join(known)}"


def nearest(word: str, known) -> str:
    """Return `, did you mean 'X'?` for the nearest known word, or nothing."""
    folded = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), folded, 1)
    return f", did you mean {folded[found[0]]!r}?" if found else ""


def stack(members: Sequence[T]) -> T:
    """Stack pytrees of one structure leaf by leaf, to be mapped over with `jax.vmap`.

    Raises:
        ValueError: where there are none, or their types or static fields differ.
    """
    if not members:
        raise ValueError("nothing to stack")
    structures = {jax.tree.structure(member) for member in members}
    if len(structures) > 1:
        raise ValueError(
            f"only estimators of one structure stack, not {', '.join(map(str, members))}"
        )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def unstack(stacked: T) -> list[T]:
    """Return the members of a stack.

    Raises:
        ValueError: where there is no leaf, or the leaves have no common leading axis.
    """
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(stacked)}
    if len(sizes) != 1 or sizes == {()}:
        raise ValueError(
            f"{type(stacked).__name__} is not a stack: its leaves share no leading axis"
        )
    ((size,),) = sizes
    return [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(size)]
