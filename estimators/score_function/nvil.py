"""The learned, input-dependent baseline of NVIL."""

import dataclasses
import math
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Distribution
from estimators.core.network import MLP
from estimators.core.pytree import averaged, counter, pytree, static
from estimators.core.validation import check_between, check_choice, check_finite
from estimators.score_function.baseline import Baseline


@pytree
class NVIL(Baseline):
    r"""A learned baseline, $c + \mathrm{net}(\mathrm{logits})$, optionally normalising the signal.

    All is learned by the baseline's squared error, whose gradient is attached at the leaves:
    `value` and `variance` are moving averages under gradient descent at rate `1 - decay`, as of
    `MovingAverage`; the network takes any optimiser. The network sees the distribution's *stopped*
    parameters. A baseline computed from anything else, such as the data x, is given as `value`
    (with `network=None`): the chain rule trains whatever computed it.

    With `normalise` the signal is divided by $\max(1, \mathrm{std})$ of past signals: the gradient
    is then unbiased only up to that positive scale. The scale meets what f's sampling contributes
    and nothing else: an analytic divergence beside f keeps its weight, so the sum of both is
    tilted. Keep the whole objective inside f.
    Mnih and Gregor 2014 (arXiv:1402.0030).

    Args:
        decay: weight of the past in the averages, in [0, 1).
        normalise: whether to divide by the running standard deviation.
        network: the network, or None; `initialise` gives it weights.
        value: c, or the baseline that the caller computed.
        variance: the running variance of the signal.
        count: counts what was summed in the gradients of `value` and `variance`.
    """

    decay: Any = 0.9
    normalise: bool = static(default=False)
    network: MLP | None = dataclasses.field(default_factory=MLP)
    value: Any = averaged(default=0.0)
    variance: Any = averaged(default=1.0)
    count: Any = counter(default=0.0)

    paper = "mnih2014"

    def num_evaluations(self) -> int:
        """One."""
        return 1

    @property
    def unbiased(self) -> Literal["yes", "up to scale"]:
        """Unbiased up to a positive scale where the signal is normalised."""
        return "up to scale" if self.normalise else "yes"

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Give the network weights for the parameters of a distribution; `key` is consumed."""
        if self.network is None:
            return self
        return dataclasses.replace(self, network=self.network.initialise(key, distribution))

    def prediction(self, parameters: jax.Array) -> jax.Array:
        """Return the baseline for one example."""
        return self.value if self.network is None else self.value + self.network(parameters)

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the values less the baseline, over the running standard deviation if asked for."""
        return (values - self.prediction(parameters)) * self.scale()

    def scale(self) -> Any:
        """Return one over the running standard deviation, at most 1; 1 where not asked for."""
        return 1 / jnp.maximum(1, jnp.sqrt(self.variance)) if self.normalise else 1.0

    def tuning(self, values: jax.Array, parameters: jax.Array) -> Any:
        """Return the gradient of half the squared errors of the baseline and of the variance."""

        def error(baseline):
            residual = values - baseline.prediction(parameters)
            square = jax.lax.stop_gradient(residual) ** 2
            return 0.5 * jnp.mean(residual**2 + (baseline.variance - square) ** 2)

        return dataclasses.replace(jax.grad(error)(self), count=jnp.ones_like(self.count))

    def check(self) -> None:
        """Raise where a hyperparameter is of the wrong type or out of range."""
        check_between("NVIL decay", self.decay, 0, 1)
        check_finite("NVIL value", self.value)
        check_between("NVIL variance", self.variance, 0, math.inf)
        check_choice("NVIL normalise", self.normalise, (True, False))
        if self.network is not None:
            if not isinstance(self.network, MLP):
                raise TypeError(f"NVIL network must be an MLP or None, not {self.network}")
            self.network.check()
