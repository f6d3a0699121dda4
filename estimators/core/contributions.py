"""Counters of moving averages: the gradients' normalisation, and the check of their updates."""

import dataclasses
from typing import Any, TypeVar

import jax.numpy as jnp

from estimators.core.part import Part
from estimators.core.validation import check_untouched

E = TypeVar("E", bound=Part)


def mean_contributions(gradient: E) -> E:
    r"""Return an estimator's gradient, with each moving average's gradient divided by its count.

    It becomes $\sum_b |c_b| g_b / \sum_b |c_b|$ over all calls of the estimator, where $c_b$ is the
    weight of call b in the loss: for a mean over the batch, a sum, a scaled loss, and several
    layers that share the estimator. Gradient descent at rate `1 - decay` is then the moving
    average. It is zero without calls. Counters become zero; the rest is unchanged.

    Args:
        gradient: the gradient of a loss with respect to an estimator or a component of one.

    Raises:
        TypeError: if a class has several counters.
    """
    fields = dataclasses.fields(gradient)
    found = [field.name for field in fields if "counter" in field.metadata]
    if len(found) > 1:
        raise TypeError(
            f"{type(gradient).__name__} has several counters, {', '.join(found)}: use one for all "
            "its averages"
        )
    changes: dict[str, Any] = {}
    for field in fields:
        slope = getattr(gradient, field.name)
        if isinstance(slope, Part):
            changes[field.name] = mean_contributions(slope)
        elif found and "average" in field.metadata:
            count = getattr(gradient, found[0])
            changes[field.name] = slope / jnp.where(count > 0, count, jnp.ones_like(count))
        elif field.name in found:
            changes[field.name] = jnp.zeros_like(slope)
    return dataclasses.replace(gradient, **changes)


def check_counters(part: Part) -> None:
    """Raise ValueError if a counter is not zero, as after an update by the wrong rule."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if isinstance(value, Part):
            check_counters(value)
        elif "counter" in field.metadata:
            check_untouched(f"{type(part).__name__} {field.name}", value)
