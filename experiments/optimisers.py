"""Optimisers by name, each an optax transformation whose rate may be traced."""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from estimators.checks import check_between, check_choice
from estimators.naming import Named

if TYPE_CHECKING:
    import optax

Rate = float | jax.Array | Callable[[Any], Any]
"""A learning rate, or a schedule of the step."""


class Optimiser(Named, abc.ABC):
    """Settings of an optimiser, except its learning rate: a frozen dataclass."""

    weight_decay: float

    def make(self, rate: Rate) -> "optax.GradientTransformation":
        """Return the optimiser at a learning rate, traced or scheduled."""
        import optax

        step = self.descend(rate)
        if not self.weight_decay:
            return step
        return optax.chain(optax.add_decayed_weights(self.weight_decay), step)

    @abc.abstractmethod
    def descend(self, rate: Rate) -> "optax.GradientTransformation":
        """Return the optimiser without weight decay."""

    def check(self) -> None:
        """Raise if a setting is out of range."""
        check_between(f"{type(self).__name__} weight_decay", self.weight_decay, 0, math.inf)


@dataclasses.dataclass(frozen=True)
class _Moments(Optimiser):
    b1: float = 0.9
    b2: float = 0.999
    weight_decay: float = 0.0

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        for name in ("b1", "b2"):
            check_between(f"{type(self).__name__} {name}", getattr(self, name), 0, 1)


@dataclasses.dataclass(frozen=True)
class Adam(_Moments):
    """Adam (Kingma and Ba 2015). `weight_decay` adds to the gradient: a squared penalty."""

    def descend(self, rate: Rate) -> "optax.GradientTransformation":
        """Return the optax transformation."""
        import optax

        return optax.adam(rate, self.b1, self.b2)


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    At every step, `weight_decay` times the learning rate is the share of every parameter, biases
    included, that is subtracted beside Adam's step. PyTorch's default is 0.01.
    """

    weight_decay: float = 0.01

    def make(self, rate: Rate) -> "optax.GradientTransformation":
        """Return the optax transformation."""
        import optax

        return optax.adamw(rate, self.b1, self.b2, weight_decay=self.weight_decay)


@dataclasses.dataclass(frozen=True)
class RAdam(_Moments):
    """Rectified Adam (Liu et al. 2020), used by the ReinMax code."""

    def descend(self, rate: Rate) -> "optax.GradientTransformation":
        """Return the optax transformation."""
        import optax

        return optax.radam(rate, self.b1, self.b2)


@dataclasses.dataclass(frozen=True)
class SGD(Optimiser):
    """Gradient descent with momentum."""

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def descend(self, rate: Rate) -> "optax.GradientTransformation":
        """Return the optax transformation."""
        import optax

        return optax.sgd(rate, self.momentum or None, self.nesterov)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_between("SGD momentum", self.momentum, 0, 1)
        check_choice("SGD nesterov", self.nesterov, (True, False))


@dataclasses.dataclass(frozen=True)
class RMSProp(Optimiser):
    """RMSProp, used for the toy problems of RELAX and Double CV."""

    decay: float = 0.9
    weight_decay: float = 0.0

    def descend(self, rate: Rate) -> "optax.GradientTransformation":
        """Return the optax transformation."""
        import optax

        return optax.rmsprop(rate, self.decay)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_between("RMSProp decay", self.decay, 0, 1)


ALL = (Adam, AdamW, RAdam, SGD, RMSProp)
"""The optimisers that the command line knows by name."""
