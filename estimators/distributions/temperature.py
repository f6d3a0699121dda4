"""The check of temperatures that several relaxed distributions share."""

from typing import Protocol

import jax.numpy as jnp

from estimators.core.pytree import Scalar
from estimators.core.validation import check_floating, check_positive


class HasTemperature(Protocol):
    """A distribution with a temperature."""

    @property
    def temperature(self) -> Scalar:
        """The temperature."""
        ...


def check_temperature(distribution: HasTemperature, shape: tuple[int, ...]) -> None:
    """Raise unless the temperature is positive, and a scalar or of a shape."""
    name = f"{type(distribution).__name__} temperature"
    check_positive(name, distribution.temperature)
    check_floating(name, distribution.temperature)
    found = jnp.shape(distribution.temperature)
    if found not in ((), shape):
        raise ValueError(f"{name} must be a scalar or of shape {shape}, not {found}")
