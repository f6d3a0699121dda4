"""What estimators and their parts (baselines, networks) share: leaves, a name, checks."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Distribution
from estimators.core.fields import as_float
from estimators.core.identity import Named
from estimators.core.pytree import leaf_names
from estimators.core.validation import in_range, is_number


class Part(Named):
    """A frozen dataclass and pytree with a printable identity: an estimator, or a part of one."""

    def __post_init__(self):
        """Turn numbers into arrays: a float and an array would compile separately."""
        super().__post_init__()
        for name in leaf_names(type(self)):
            value = getattr(self, name)
            if type(value) is int:
                value = as_float(value)
            if is_number(value) and not isinstance(value, jax.Array):
                dtype = jnp.result_type(float)
                # What the type does not hold stays as it is, so that checks name what was written.
                kept = jnp.asarray(value, dtype) if in_range(value, dtype) else value
                object.__setattr__(self, name, kept)

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

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Return the part with its networks sized to a distribution; `key` is consumed.

        Parts without a network return themselves.
        """
        del key, distribution
        return self
