"""Frozen dataclasses that JAX sees as pytrees."""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(**options: Any) -> Any:
    """Mark a dataclass field as structure: compared and hashed by JAX, never traced."""
    return dataclasses.field(metadata={"static": True}, **options)


def learned(**options: Any) -> Any:
    """Mark a dataclass field as a learned network's parameters: leaves, but no part of a name."""
    return dataclasses.field(metadata={"learned": True}, **options)


def averaged(**options: Any) -> Any:
    """Mark a moving average: a leaf that learns by descent at rate `1 - decay`.

    Use `mean_contributions` first; the same part needs a `counter`.
    """
    return dataclasses.field(metadata={"average": True}, **options)


def counter(**options: Any) -> Any:
    """Mark the leaf whose tuning gradient is one, so that it counts what is summed in the others'.

    It is no part of the name, and never learns. Its gradient counts calls: use
    `mean_contributions`, which sets it to zero, before the gradient is clipped or its norm taken.
    """
    return dataclasses.field(metadata={"learned": True, "counter": True}, **options)


def tuned(**options: Any) -> Any:
    """Mark a part whose leaves learn, whatever pytree it is; it is part of the name."""
    return dataclasses.field(metadata={"tuned": True}, **options)


def leaf_names(cls: type) -> list[str]:
    """Return the names of a dataclass's fields that hold pytree leaves."""
    return [field.name for field in dataclasses.fields(cls) if not field.metadata.get("static")]


def static_names(cls: type) -> list[str]:
    """Return the names of a dataclass's fields that are structure."""
    return [field.name for field in dataclasses.fields(cls) if field.metadata.get("static")]


@dataclass_transform(
    frozen_default=True,
    eq_default=False,
    field_specifiers=(static, learned, averaged, counter, tuned),
)
def pytree(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass and a pytree: fields are leaves, `static()` fields structure.

    `eq=False`, because comparing array leaves with `==` would raise. Rebuilding a value from its
    leaves bypasses `__init__` (`jax.tree_util.register_dataclass` calls it), so `__post_init__`
    sees only what a user wrote, never tracers, gradients or the axis numbers of `in_axes`.
    """
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    leaves, statics = leaf_names(cls), static_names(cls)

    def flatten(value):
        return [getattr(value, name) for name in leaves], tuple(getattr(value, n) for n in statics)

    def flatten_with_keys(value):
        children, structure = flatten(value)
        return [*zip(map(jax.tree_util.GetAttrKey, leaves), children, strict=True)], structure

    def unflatten(structure, children):
        value = object.__new__(cls)
        for name, part in zip(leaves + statics, (*children, *structure), strict=True):
            object.__setattr__(value, name, part)
        return value

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
