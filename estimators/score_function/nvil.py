"""The learned, input-dependent baseline of NVIL."""

import dataclasses
import math
from typing import Literal, Self

import jax
import jax.numpy as jnp

from estimators.core.pytree import Scalar, averaged, counter, pytree, static
from estimators.core.validation import check_between, check_choice, check_finite
from estimators.score_function.baseline import Baseline
from estimators.score_function.network import MLP


@pytree
class NVIL(Baseline):
    r"""A learned baseline, $c + \mathrm{net}(\mathrm{logits})$, optionally normalising the signal.

    All leaves are learned from the baseline's squared error: `value` and `variance` are moving
    averages under gradient descent at rate `1 - decay`, as in `MovingAverage`; the network takes
    any optimiser. Its inputs are the distribution's *stopped* parameters, and those numbers of f's
    context (`with_context`), such as the data x, that the network takes: `MLP(context=784)`. A
    baseline that the caller computed is passed as `value` (with `network=None`); the chain rule
    trains the function that computed it.

    With `normalise` the signal is divided by $\max(1, \mathrm{std})$ of past signals, so that the
    gradient is unbiased only up to that positive scale. This scales only the gradient through
    sampling: an analytic divergence outside f keeps its weight, which changes the direction of the
    sum. Keep the whole objective inside f. Mnih and Gregor 2014 (arXiv:1402.0030).

    Args:
        decay: weight of the past in the averages, in [0, 1).
        normalise: whether to divide by the running standard deviation.
        network: the network, sized by `initialise`, or None.
        value: c, or a baseline computed by the caller.
        variance: the running variance of the signal.
        count: counts the terms in the gradients of `value` and `variance`.
    """

    decay: Scalar = 0.9
    normalise: bool = static(default=False)
    network: MLP | None = dataclasses.field(default_factory=MLP)
    value: Scalar = averaged(default=0.0)
    variance: Scalar = averaged(default=1.0)
    count: Scalar = counter(default=0.0)

    paper = "mnih2014"

    def num_evaluations(self) -> int:
        """Return one."""
        return 1

    @property
    def unbiased(self) -> Literal["yes", "up to scale"]:
        """Unbiased up to a positive scale if the signal is normalised."""
        return "up to scale" if self.normalise else "yes"

    def prediction(self, parameters: jax.Array) -> Scalar:
        """Return the baseline for one example."""
        return self.value if self.network is None else self.value + self.network(parameters)

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the values minus the baseline, normalised if requested."""
        return (values - self.prediction(parameters)) * self.scale()

    def scale(self) -> Scalar:
        """Return 1 / max(1, running standard deviation), or 1 without normalisation."""
        return 1 / jnp.maximum(1, jnp.sqrt(self.variance)) if self.normalise else 1.0

    def tuning(self, values: jax.Array, parameters: jax.Array) -> Self:
        """Return the gradient of half the squared errors of the baseline and of the variance."""

        def error(baseline: Self) -> jax.Array:
            residual = values - baseline.prediction(parameters)
            square = jax.lax.stop_gradient(residual) ** 2
            return 0.5 * jnp.mean(residual**2 + (baseline.variance - square) ** 2)

        return dataclasses.replace(jax.grad(error)(self), count=jnp.ones_like(self.count))

    def check(self) -> None:
        """Raise if a hyperparameter has the wrong type or is out of range."""
        check_between("NVIL decay", self.decay, 0, 1)
        check_finite("NVIL value", self.value)
        check_between("NVIL variance", self.variance, 0, math.inf)
        check_choice("NVIL normalise", self.normalise, (True, False))
        if self.network is not None:
            if not isinstance(self.network, MLP):
                raise TypeError(f"NVIL network must be an MLP or None, not {self.network}")
            self.network.check()
