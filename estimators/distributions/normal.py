"""Independent normal variables."""

import math
from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Continuous
from estimators.core.noise import draw_like, normal
from estimators.core.pytree import pytree
from estimators.core.validation import check_floating

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@pytree
class Normal(Continuous):
    r"""Independent normal variables, $z = \mu + e^{s} \epsilon$ with $\epsilon \sim N(0, 1)$.

    Args:
        mean: $\mu$, of any shape (usually `[D]`); a sample has the same shape.
        log_scale: $s$, the logarithm of the standard deviation, of the same shape.
    """

    mean: jax.Array
    log_scale: jax.Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the mean."""
        return jnp.shape(self.mean)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample, differentiable in the parameters; `key` is consumed."""
        return self.mean + jnp.exp(self.log_scale) * draw_like(normal, key, self.mean)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the log-density in nats."""
        standard = (sample - self.mean) * jnp.exp(-self.log_scale)
        return -jnp.sum(0.5 * standard**2 + self.log_scale + _HALF_LOG_TWO_PI)

    def entropy(self) -> jax.Array:
        """Return the differential entropy in nats."""
        return jnp.sum(self.log_scale + _HALF_LOG_TWO_PI + 0.5)

    def kl(self, other: Self) -> jax.Array:
        """Return the Kullback-Leibler divergence from `self` to `other` in nats."""
        log_ratio = self.log_scale - other.log_scale
        distance = (self.mean - other.mean) * jnp.exp(-other.log_scale)
        return jnp.sum(0.5 * (jnp.exp(2 * log_ratio) + distance**2 - 1) - log_ratio)

    def check(self) -> None:
        """Raise if the parameters are not float arrays of one shape."""
        check_floating("Normal mean", self.mean)
        check_floating("Normal log_scale", self.log_scale)
        if jnp.shape(self.mean) != jnp.shape(self.log_scale):
            raise ValueError(
                f"Normal mean and log_scale must have one shape, not {jnp.shape(self.mean)} "
                f"and {jnp.shape(self.log_scale)}"
            )
