"""What estimators and their parts (baselines, networks) share: leaves, a name, checks."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp

from estimators.core import identity
from estimators.core.distribution import Distribution
from estimators.core.pytree import leaf_names
from estimators.core.validation import is_concrete


class Part:
    """A frozen dataclass and pytree with a printable identity: an estimator, or a part of one."""

    def __post_init__(self):
        """Turn numbers into arrays: a float and an array would compile separately."""
        for name in leaf_names(type(self)):
            value = getattr(self, name)
            if is_concrete(value) and not isinstance(value, jax.Array):
                object.__setattr__(self, name, jnp.asarray(value, jnp.result_type(float)))

    def __str__(self) -> str:
        """Return the identity, such as `GumbelSoftmax[temperature=0.5]`; `parse` is the inverse."""
        return identity.describe(self)

    def hyperparameters(self) -> dict[str, Any]:
        """Return all that a user may set, by name; a part's as in `baseline.decay`."""
        found = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Part):
                found[field.name] = type(value).__name__
                inner = value.hyperparameters().items()
                found |= {f"{field.name}.{name}": part for name, part in inner}
            elif not field.metadata.get("learned"):
                found[field.name] = value
        return found

    def check(self) -> None:  # noqa: B027 (most parts have nothing to check)
        """Raise ValueError or TypeError where a concrete hyperparameter is out of range."""

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Return the part with its networks sized to a distribution; `key` is consumed.

        Parts without a network return themselves.
        """
        del key, distribution
        return self
