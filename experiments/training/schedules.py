"""Optax schedules of a temperature, a slope or a learning rate, by name."""

import abc
import dataclasses
import math
from typing import TYPE_CHECKING, Self

import jax.numpy as jnp

from estimators.checks import check_between, check_count, check_positive
from estimators.naming import Named

if TYPE_CHECKING:
    import optax


class Schedule(Named, abc.ABC):
    """Settings of a schedule: a frozen dataclass."""

    @abc.abstractmethod
    def make(self) -> "optax.Schedule":
        """Return the function from the step to the value."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raise if a setting is out of range."""

    def over(self, steps: int) -> Self:
        """Return the schedule in a run of `steps` steps; it differs if it spans the run."""
        del steps
        return self


@dataclasses.dataclass(frozen=True)
class Exponential(Schedule):
    r"""$\max(\mathrm{floor}, \mathrm{start} \cdot e^{-r t})$, held for `every` steps at a time.

    The temperature of Jang et al. 2017: r = 1e-5 or 1e-4, every 500 or 1,000 steps, floor 0.5.
    """

    rate: float = 1e-4
    floor: float = 0.5
    every: int = 1000
    start: float = 1.0

    def make(self) -> "optax.Schedule":
        """Return optax's exponential decay."""
        import optax

        return optax.exponential_decay(
            self.start,
            self.every,
            math.exp(-self.rate * self.every),
            staircase=True,
            end_value=self.floor,
        )

    def check(self) -> None:
        """Raise if a setting is out of range."""
        check_positive("Exponential rate", self.rate)
        check_positive("Exponential floor", self.floor)
        check_positive("Exponential start", self.start)
        check_count("Exponential every", self.every, 1)
        if self.floor > self.start:
            raise ValueError(
                f"Exponential floor must be at most start, {self.start}, not {self.floor}"
            )


@dataclasses.dataclass(frozen=True)
class Linear(Schedule):
    """Linear from start to end over `steps` steps, then constant.

    The slope of Chung et al. 2017: from 1 to 5 at 0.04 an epoch.
    """

    start: float
    end: float
    steps: int

    def make(self) -> "optax.Schedule":
        """Return optax's linear schedule."""
        import optax

        return optax.linear_schedule(self.start, self.end, self.steps)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        check_positive("Linear start", self.start)
        check_positive("Linear end", self.end)
        check_count("Linear steps", self.steps, 1)


@dataclasses.dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from start to end over `steps` steps, then constant."""

    start: float
    end: float
    steps: int

    def make(self) -> "optax.Schedule":
        """Return optax's cosine decay."""
        import optax

        return optax.cosine_decay_schedule(self.start, self.steps, self.end / self.start)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        check_positive("Cosine start", self.start)
        check_positive("Cosine end", self.end)
        check_count("Cosine steps", self.steps, 1)


@dataclasses.dataclass(frozen=True)
class _Spanning(Schedule):
    """A schedule that spans the run, unless it has steps of its own."""

    start: float
    end: float
    steps: int | None = None
    every: int = 1

    def over(self, steps: int) -> Self:
        """Return the schedule with the steps of the run, unless it has its own."""
        return self if self.steps else dataclasses.replace(self, steps=steps)

    def make(self) -> "optax.Schedule":
        """Return the schedule of optax, held for `every` steps at a time.

        Raises:
            ValueError: if it has no steps, its own or those of a run.
        """
        if not self.steps:
            raise ValueError(f"{self} has no steps: give its own, or those of a run")
        moving = self.moving(self.steps)
        return lambda step: moving(jnp.floor_divide(step, self.every) * self.every)

    @abc.abstractmethod
    def moving(self, steps: int) -> "optax.Schedule":
        """Return the schedule over `steps` steps that is not held."""

    def check(self) -> None:
        """Raise if a setting is out of range."""
        name = type(self).__name__
        check_positive(f"{name} start", self.start)
        if self.steps is not None:
            check_count(f"{name} steps", self.steps, 1)
        check_count(f"{name} every", self.every, 1)


@dataclasses.dataclass(frozen=True)
class Geometric(_Spanning):
    r"""$\mathrm{start}^{1 - u} \mathrm{end}^u$, with u from 0 to 1 in equal jumps, then constant.

    A jump comes after every `every` steps, so with E epochs of so many steps, $u = e / (E - 1)$
    in epoch e = 0, 1, ... Hooper and Shekhovtsov 2026: a temperature falls from 1 to 0.1, the
    penalty of `MVE` grows from 1 to 1e6.

    Args:
        start: the first value.
        end: the last value, larger or smaller.
        steps: the number of steps; None for those of the run.
        every: steps between two jumps.
    """

    def moving(self, steps: int) -> "optax.Schedule":
        """Return optax's exponential decay, or growth."""
        import optax

        last = (math.ceil(steps / self.every) - 1) * self.every
        return optax.exponential_decay(
            self.start, max(last, 1), self.end / self.start, end_value=self.end
        )

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_positive("Geometric end", self.end)


@dataclasses.dataclass(frozen=True)
class WarmupCosine(_Spanning):
    """Linear from start to 1 in the first part of the steps, then half a cosine to end.

    As `learning_rate`, which it multiplies. Hooper and Shekhovtsov 2026: from 0.001 to 1 in 10 of
    500 epochs, then to 0, held for an epoch.

    Args:
        start: the first value.
        end: the last value.
        steps: the number of steps; None for those of the run.
        every: steps for which a value is held.
        warmup: the first part, as a share of the steps.
    """

    start: float = 1e-3
    end: float = 0.0
    warmup: float = 0.02

    def moving(self, steps: int) -> "optax.Schedule":
        """Return optax's warm-up and cosine decay."""
        import optax

        return optax.warmup_cosine_decay_schedule(
            self.start, 1.0, round(self.warmup * steps), steps, self.end
        )

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_between("WarmupCosine end", self.end, 0, math.inf)
        check_between("WarmupCosine warmup", self.warmup, 0, 1)


ALL = (Exponential, Linear, Cosine, Geometric, WarmupCosine)
"""The schedules that the command line knows by name."""
