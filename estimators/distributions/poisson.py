"""Independent Poisson variables."""

import math
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from estimators.core.distribution import Enumerable, digits
from estimators.core.gradients import replace_gradient
from estimators.core.noise import both_tails
from estimators.core.pytree import pytree, static
from estimators.core.validation import (
    add_condition,
    check_at_most,
    check_count,
    check_floating,
    is_concrete,
)
from estimators.distributions.poisson_law import log_pmf, quantile

LARGEST_RATE = 1e6
"""Beyond it counts soon exceed the integers that float32 holds."""

LARGEST_TAIL = 1e-6
"""`Exact` leaves out at most this probability."""


@pytree
class Poisson(Enumerable):
    r"""Independent Poisson variables, $P(x_i = k) = \lambda_i^k e^{-\lambda_i} / k!$.

    A sample is the quantile of one uniform number, so that samples at neighbouring rates with the
    same key differ little. It is exact up to rounding for rates up to 16. Above, it is Temme's
    expansion, as in Giles 2016 (ACM TOMS 42, 1): the steps of the distribution function are off by
    less than a thousandth of their height, or a twentieth where it is below 1e-5. Rates are at most
    a million.

    The counts are infinitely many: `Exact` visits those up to `most`. What that leaves out is
    bounded by `tail_bounds`; where it has more than a millionth of the probability, `Exact` refuses
    the distribution, or is NaN under `jax.jit`.

    Args:
        log_rate: $\eta = \log \lambda$, of any shape (usually `[D]`), float32 or float64. A sample
            has the same shape and dtype.
        most: the largest count of each variable that `Exact` visits.
    """

    log_rate: jax.Array
    most: int = static(default=63)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the log-rates."""
        return jnp.shape(self.log_rate)

    @property
    def mean(self) -> jax.Array:
        r"""The mean, and the variance: $\lambda$."""
        return jnp.exp(self.log_rate)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample; `key` is consumed."""
        u, v = both_tails(key, self.event_shape, self.dtype)
        log_rate = jnp.asarray(self.log_rate, self.dtype)
        return quantile(jax.lax.stop_gradient(log_rate), u, v)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        r"""Return the log-probability in nats; differentiable between counts, where x! is a Gamma.

        Its score is $x - \lambda$. The relative error is that of rounding at every rate and count.
        """
        accurate = log_pmf(jax.lax.stop_gradient(self.log_rate), jax.lax.stop_gradient(sample))
        # Of terms that cancel at large counts, but whose derivatives do not.
        factorial = jax.scipy.special.gammaln(sample + 1)
        plain = sample * self.log_rate - jnp.exp(self.log_rate) - factorial
        return replace_gradient(accurate, plain).sum()

    def kl(self, other: Self) -> jax.Array:
        r"""Return the Kullback-Leibler divergence from `self` to `other` in nats.

        $\lambda (\eta - \eta') - \lambda + \lambda'$, summed.
        """
        log_ratio = self.log_rate - other.log_rate
        return jnp.sum(jnp.exp(self.log_rate) * (log_ratio + jnp.expm1(-log_ratio)))

    @property
    def num_states(self) -> int:
        """Number of values that `Exact` visits."""
        return (self.most + 1) ** math.prod(self.event_shape)

    def state(self, index: jax.Array) -> jax.Array:
        """Return value number `index` in lexicographic order, if they can be enumerated."""
        self.check_enumerable()
        counts = digits(index, math.prod(self.event_shape), self.most + 1)
        return counts.reshape(self.event_shape).astype(self.dtype)

    def tails(self) -> jax.Array:
        r"""Return a bound of each variable's probability of counts above `most`.

        $P(x > N) \le p(N + 1) / (1 - \lambda / (N + 2))$ for $\lambda < N + 1$, else one.
        """
        rate = jnp.exp(self.log_rate)
        covered = rate < self.most + 1
        ratio = jnp.where(covered, rate / (self.most + 2), 0)
        beyond = jnp.exp(log_pmf(self.log_rate, jnp.full_like(rate, self.most + 1)))
        return jnp.where(covered, jnp.minimum(beyond / (1 - ratio), 1), 1)

    def tail_bounds(self) -> tuple[jax.Array, jax.Array]:
        r"""Bound the errors of `Exact`, as multiples of the range of f (its supremum - infimum).

        That of the value by $\sum_i P(x_i > N)$, where $N$ is `most`. That of the gradient by
        $\sum_{k > N} |k - \lambda_i| \, p_i(k) = \lambda_i p_i(N)$ for $\lambda_i < N + 1$, and
        $\sqrt{\lambda_i}$ times the probability that another variable exceeds N.

        Returns:
            The bound of the value, a scalar, and of the gradient in each log-rate.
        """
        rate, tails = jnp.exp(self.log_rate), self.tails()
        at_end = jnp.exp(log_pmf(self.log_rate, jnp.full_like(rate, self.most)))
        slope = jnp.where(rate < self.most + 1, rate * at_end, jnp.sqrt(rate))
        total = tails.sum()
        return jnp.minimum(total, 1), slope + jnp.sqrt(rate) * (total - tails)

    def too_large(self) -> str | None:
        """Return a message if there are too many states, or too much beyond them, else None."""
        if reason := super().too_large():
            return reason
        if isinstance(self.log_rate, Tracer):
            add_condition(self.tail_bounds()[0] <= LARGEST_TAIL)
        if not is_concrete(self.log_rate):
            return None
        with jax.ensure_compile_time_eval():
            tail = float(self.tail_bounds()[0])
        if tail <= LARGEST_TAIL:
            return None
        largest = np.exp(np.asarray(self.log_rate)).max()
        return (
            f"counts above most={self.most}, which are left out, have a probability of {tail:.1g}, "
            f"with rates up to {largest:.4g}; at most {LARGEST_TAIL:.0e} is"
        )

    def check(self) -> None:
        """Raise unless the log-rates are a finite float array, and not too large."""
        check_floating("Poisson log_rate", self.log_rate)
        check_at_most("Poisson log_rate", self.log_rate, math.log(LARGEST_RATE))
        check_count("Poisson most", self.most, 1)
