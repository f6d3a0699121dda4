"""The base class of estimators and their components (baselines, networks)."""

import dataclasses
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Distribution
from estimators.core.fields import as_float
from estimators.core.identity import Named
from estimators.core.pytree import leaf_names
from estimators.core.representation import python
from estimators.core.validation import in_range, is_number


class Part(Named):
    """An estimator or a component of one: a frozen dataclass, a pytree, with a printable name."""

    paper: ClassVar[str] = ""
    """Key of its source in `estimators.BIBLIOGRAPHY`."""

    def __new__(cls, *arguments: object, **settings: object) -> Self:
        """Return a new instance, without its fields.

        Raises:
            TypeError: for a class without the decorator `pytree`, or the arguments of a call.
        """
        if any(isinstance(one, Distribution) for one in (*arguments, *settings.values())):
            raise TypeError(
                f"{cls.__name__} is a class: build an estimator first, as in "
                f"{cls.__name__}(...)(key, distribution, f)"
            )
        new = super().__new__(cls)
        if jax.tree_util.all_leaves([new]):
            raise TypeError(f"{cls.__name__} needs the decorator @pytree of estimators")
        return new

    def __post_init__(self) -> None:
        """Convert numbers to arrays: a float and an array would compile separately."""
        super().__post_init__()
        for name in leaf_names(type(self)):
            value = getattr(self, name)
            if type(value) is int:
                value = as_float(value)
            if is_number(value) and not isinstance(value, jax.Array):
                dtype = jnp.result_type(float)
                # Outside the dtype's range it is kept as written, for the messages of checks.
                kept = jnp.asarray(value, dtype) if in_range(value, dtype) else value
                object.__setattr__(self, name, kept)

    def __repr__(self) -> str:
        """Return Python that builds it, such as `GumbelSoftmax(temperature=0.5)`."""
        return python(self)

    def hyperparameters(self) -> dict[str, Any]:
        """Return all settings by name; those of components have names like `baseline.decay`."""
        found: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Part):
                found[field.name] = type(value).__name__
                inner = value.hyperparameters().items()
                found |= {f"{field.name}.{name}": part for name, part in inner}
            elif not field.metadata.get("learned"):
                found[field.name] = value
        return found

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Return a copy with its networks initialised for a distribution; `key` is consumed.

        By default, the networks are those of its components.
        """
        parts = [(name, part) for name, part in vars(self).items() if isinstance(part, Part)]
        keys = jax.random.split(key, len(parts)) if len(parts) > 1 else [key]
        pairs = zip(parts, keys, strict=False)
        ready = {name: part.initialise(one, distribution) for (name, part), one in pairs}
        return dataclasses.replace(self, **ready) if ready else self
