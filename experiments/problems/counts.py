"""A toy problem of counts."""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from estimators import ArrivalTimes, Distribution, Estimator, Poisson, RelaxedCount
from estimators.checks import check_between, check_choice, check_count, check_positive
from experiments.problems.problem import Params
from experiments.problems.toy import Toy


@dataclasses.dataclass(frozen=True)
class Counts(Toy):
    r"""Poisson variables with a coupled, nonquadratic f.

    $f(x) = \cos(w \cdot x) + (\bar x - 2)^2 / (1 + \bar x)$, with weights w spread evenly over
    [0.2, 0.5], and log-rates over half a unit on both sides of that of `rate`.

    With a relaxed `latent`, for `Pathwise`, the expectation is that of relaxed variables, which
    differs from that of counts; f is evaluated between counts.

    Args:
        rate: the rate of the middle variable.
        variables: their number.
        latent: "Poisson", "ArrivalTimes" (with the cubic indicator) or "RelaxedCount".
        temperature: of the relaxed variables.
    """

    group: ClassVar[str] = "log_rates"

    rate: float = 2.0
    variables: int = 2
    latent: Literal["Poisson", "ArrivalTimes", "RelaxedCount"] = "Poisson"
    temperature: float = 0.5

    def logits(self) -> jax.Array:
        """Return the log-rates."""
        return math.log(self.rate) + jnp.linspace(-0.5, 0.5, self.variables)

    def initial(self, key: jax.Array) -> Params:
        """Return the log-rates; nothing is random."""
        return {"log_rates": self.logits()}

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the counts, relaxed or not."""
        log_rates, most = params["log_rates"], self._most
        if self.latent == "ArrivalTimes":
            return ArrivalTimes(log_rates, jnp.float32(self.temperature), most, "cubic")
        if self.latent == "RelaxedCount":
            return RelaxedCount(log_rates, jnp.float32(self.temperature), most)
        return Poisson(log_rates, most)

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the coupled function."""
        mean = sample.mean()
        weights = jnp.linspace(0.2, 0.5, self.variables)
        return jnp.cos(weights @ sample) + (mean - 2) ** 2 / (1 + mean)

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the estimate of E f; `key` is consumed."""
        distribution = self.distribution(params, batch)
        return estimator(key, distribution, lambda x: self.f(params["log_rates"], x))

    @property
    def _most(self) -> int:
        """Ten standard deviations beyond the largest rate, and what small rates need."""
        rate = self.rate * math.exp(0.5)
        return math.ceil(rate + 10 * math.sqrt(rate) + 10)

    def check(self) -> None:
        """Raise for an unknown latent variable, or a number out of range."""
        check_positive("Counts rate", self.rate)
        check_between("Counts rate", self.rate, 0, 1e5)
        check_count("Counts variables", self.variables, 1)
        check_choice("Counts latent", self.latent, ("Poisson", "ArrivalTimes", "RelaxedCount"))
        check_positive("Counts temperature", self.temperature)
