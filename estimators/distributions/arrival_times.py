"""The relaxation of Poisson variables by the arrival times of a Poisson process."""

from typing import Literal

import jax
import jax.numpy as jnp

from estimators.core.distribution import Continuous
from estimators.core.noise import exponential
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_choice, check_floating
from estimators.distributions.count_cut import check_cut
from estimators.distributions.temperature import check_temperature

Indicator = Literal["sigmoid", "hard_sigmoid", "cubic"]


@pytree
class ArrivalTimes(Continuous):
    r"""Arrivals up to time one, softly counted: $x = \sum_m g((1 - t_m) / \tau)$.

    The times $t_m$ are the cumulative sums of exponential gaps of mean $1 / \lambda$, so at
    $\tau = 0$ the count is Poisson, and between it is a real number, differentiable in the
    log-rate. It has no density in closed form.

    "cubic" and "hard_sigmoid" have the mean $\lambda$ for $\tau \le 1$, so a linear f is unbiased
    there; the variance is $\lambda (1 - 9 \tau / 35)$ and $\lambda (1 - \tau / 3)$. "sigmoid" has
    the mean $\lambda \tau \log(1 + e^{1/\tau})$, and the variance less $\lambda \tau
    \sigma(1/\tau)$; it counts arrivals after time one too, so that at warm temperatures
    more of them must be drawn. Vafaii et al. 2024 (arXiv:2405.14473), with the sigmoid.

    Args:
        log_rate: $\eta = \log \lambda$, of any shape; a sample has the same shape.
        temperature: $\tau > 0$, a scalar or an array of the same shape.
        most: the number of arrivals that are drawn for each variable, static. More than one sample
            in a thousand may not have more arrivals up to time one: see `check`.
        indicator: g, "sigmoid", "hard_sigmoid" ($u = \frac12 (x + 1)$ clipped to [0, 1]) or "cubic"
            ($3 u^2 - 2 u^3$).
    """

    log_rate: jax.Array
    temperature: Scalar
    most: int = static()
    indicator: Indicator = static(default="sigmoid")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the log-rates."""
        return jnp.shape(self.log_rate)

    @property
    def mean(self) -> jax.Array:
        r"""The mean: $\lambda \tau \int_{-\infty}^{1/\tau} g$, if no arrival is left out."""
        return (
            jnp.exp(self.log_rate)
            * self.temperature
            * _integral(self.indicator, 1 / self.temperature)
        )

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample, differentiable in log-rate and temperature; `key` is consumed."""
        gaps = exponential(key, (*self.event_shape, self.most), self.dtype)
        times = jnp.cumsum(gaps, -1) * jnp.exp(-self.log_rate)[..., None]
        temperature = jnp.broadcast_to(self.temperature, self.event_shape)[..., None]
        return _indicate(self.indicator, (1 - times) / temperature).sum(-1)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Raise NotImplementedError: the density has no closed form."""
        raise NotImplementedError("ArrivalTimes has no density in closed form")

    def check(self) -> None:
        """Raise for wrong dtypes or shapes, or too few arrivals for the rates.

        The latter makes the estimate NaN where the rates are traced.
        """
        check_floating("ArrivalTimes log_rate", self.log_rate)
        check_temperature(self, self.event_shape)
        check_choice("ArrivalTimes indicator", self.indicator, ("sigmoid", "hard_sigmoid", "cubic"))
        check_cut("ArrivalTimes", self.log_rate, self.most)


def _indicate(indicator: str, x: jax.Array) -> jax.Array:
    if indicator == "sigmoid":
        return jax.nn.sigmoid(x)
    u = jnp.clip((x + 1) / 2, 0, 1)
    return u if indicator == "hard_sigmoid" else u**2 * (3 - 2 * u)


def _integral(indicator: str, x: Scalar) -> jax.Array:
    """Return the integral of the indicator up to a positive x."""
    if indicator == "sigmoid":
        return jax.nn.softplus(x)
    u = (jnp.minimum(x, 1) + 1) / 2
    inside = u**2 if indicator == "hard_sigmoid" else u**3 * (2 - u)
    return inside + jnp.maximum(x - 1, 0)
