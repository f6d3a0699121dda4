"""Optax schedules of a temperature, a slope or a learning rate, by name."""

import abc
import dataclasses
import math
from typing import TYPE_CHECKING

from estimators.checks import check_count, check_positive
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


ALL = (Exponential, Linear, Cosine)
"""The schedules that the command line knows by name."""
