"""Frozen dataclasses that are JAX pytrees."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")

Scalar = jax.Array | float
"""A numeric leaf: an array in an estimator; users may pass any number."""


def static(**options: Any) -> Any:
    """Mark a dataclass field as static: compared and hashed by JAX, never traced."""
    return dataclasses.field(metadata={"static": True}, **options)


def learned(**options: Any) -> Any:
    """Mark a dataclass field as learned parameters: leaves, but not shown in the name."""
    return dataclasses.field(metadata={"learned": True}, **options)


def averaged(**options: Any) -> Any:
    """Mark a moving average: a leaf updated by gradient descent at rate `1 - decay`.

    Apply `mean_contributions` to its gradient first; the same class needs a `counter`.
    """
    return dataclasses.field(metadata={"average": True}, **options)


def counter(**options: Any) -> Any:
    """Mark a leaf whose tuning gradient is one per call: it counts the terms of the averages.

    It is not shown in the name and never learns. Apply `mean_contributions`, which sets its
    gradient to zero, before the gradient is clipped or its norm taken.
    """
    return dataclasses.field(metadata={"learned": True, "counter": True}, **options)


def tuned(**options: Any) -> Any:
    """Mark a pytree of any kind whose leaves are learned; it is shown in the name."""
    return dataclasses.field(metadata={"tuned": True}, **options)


def leaf_names(cls: type) -> list[str]:
    """Return the names of a dataclass's fields that hold pytree leaves, in order."""
    return [field.name for field in dataclasses.fields(cls) if not field.metadata.get("static")]


def static_names(cls: type) -> list[str]:
    """Return the names of a dataclass's static fields, in order."""
    return [field.name for field in dataclasses.fields(cls) if field.metadata.get("static")]


@dataclass_transform(
    frozen_default=True,
    eq_default=False,
    field_specifiers=(static, learned, averaged, counter, tuned),
)
def pytree(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass and a pytree, whose leaves are the fields not `static()`.

    `eq=False`, because comparing array leaves with `==` would raise. Unflattening bypasses
    `__init__` (which `jax.tree_util.register_dataclass` calls), so `__post_init__` sees only what a
    user wrote, never tracers, gradients or the axis numbers of `in_axes`.
    """
    shown_by_dataclass = cls.__repr__ is object.__repr__
    cls = dataclasses.dataclass(frozen=True, eq=False, repr=shown_by_dataclass)(cls)
    leaves, statics = leaf_names(cls), static_names(cls)

    def flatten(value: T) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(value, name) for name in leaves], tuple(getattr(value, n) for n in statics)

    def flatten_with_keys(value: T) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        children, structure = flatten(value)
        return [*zip(map(jax.tree_util.GetAttrKey, leaves), children, strict=True)], structure

    def unflatten(structure: tuple[Any, ...], children: Iterable[Any]) -> T:
        value = object.__new__(cls)
        for name, part in zip(leaves + statics, (*children, *structure), strict=True):
            object.__setattr__(value, name, part)
        return value

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def field_of(part: Any, path: Sequence[Any]) -> tuple[Any, dataclasses.Field[Any]]:
    """Return the innermost component, and its field, on the path of a leaf of `part`."""
    first, *rest = path
    inner = getattr(part, first.name)
    if rest and dataclasses.is_dataclass(inner):
        return field_of(inner, rest)
    return part, next(field for field in dataclasses.fields(part) if field.name == first.name)


def learned_leaves(tree: Any) -> list[Any]:
    """Return the leaves that learn: averages, learned and tuned fields; all, unless a dataclass."""
    if not dataclasses.is_dataclass(tree):
        return jax.tree.leaves(tree)
    return [
        leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
        if field_of(tree, path)[1].metadata.keys() & {"average", "learned", "tuned"}
    ]
