"""The relaxation of truncated Poisson variables by Gumbel-softmax."""

import math

import jax
import jax.numpy as jnp

from estimators.core.distribution import Continuous
from estimators.core.noise import gumbel
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_floating
from estimators.distributions.count_cut import check_cut
from estimators.distributions.temperature import check_temperature


@pytree
class RelaxedCount(Continuous):
    r"""A relaxed count: $x = \sum_k k y_k$, where y is Concrete over the counts up to N.

    $y = \mathrm{softmax}((\log \pi + G) / \tau)$ with Gumbel noise G and the Poisson probabilities
    $\pi$, the last of which has all that is left. At $\tau = 0$ the count is a Poisson one, cut at
    N; at higher temperatures it is a real number of a larger mean and a smaller variance. It has no
    density in closed form. Joo et al. 2020 (arXiv:2003.01847); that the last class has what is left
    is our choice.

    Args:
        log_rate: $\eta = \log \lambda$, of any shape; a sample has the same shape.
        temperature: $\tau > 0$, a scalar or an array of the same shape.
        most: N, static. Larger counts may not have more than a thousandth of the probability: see
            `check`.
    """

    log_rate: jax.Array
    temperature: Scalar
    most: int = static()

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the log-rates."""
        return jnp.shape(self.log_rate)

    def log_classes(self) -> jax.Array:
        r"""Return $\log \pi$, `[*event_shape, most + 1]`."""
        # Beyond these the tail is zero, since `check` keeps the rates below `most`.
        end = self.most + 32 + 8 * math.isqrt(self.most)
        counts = jnp.arange(end, dtype=self.dtype)
        factorials = jax.scipy.special.gammaln(counts + 1)
        counts, factorials = (
            jnp.broadcast_to(one, (*self.event_shape, end)) for one in (counts, factorials)
        )
        log_rate = jnp.asarray(self.log_rate)[..., None]
        log_probs = counts * log_rate - jnp.exp(log_rate) - factorials
        rest = jax.nn.logsumexp(log_probs[..., self.most :], -1, keepdims=True)
        return jnp.concatenate([log_probs[..., : self.most], rest], -1)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample, differentiable in log-rate and temperature; `key` is consumed."""
        noise = gumbel(key, (*self.event_shape, self.most + 1), self.dtype)
        temperature = jnp.broadcast_to(self.temperature, self.event_shape)[..., None]
        shares = jax.nn.softmax((self.log_classes() + noise) / temperature)
        counts = jnp.arange(self.most + 1, dtype=self.dtype)
        return jnp.sum(shares * jnp.broadcast_to(counts, shares.shape), -1)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Raise NotImplementedError: the density has no closed form."""
        raise NotImplementedError("RelaxedCount has no density in closed form")

    def check(self) -> None:
        """Raise for wrong dtypes or shapes, or a cut that is too low for the rates.

        The latter makes the estimate NaN where the rates are traced.
        """
        check_floating("RelaxedCount log_rate", self.log_rate)
        check_temperature(self, self.event_shape)
        check_cut("RelaxedCount", self.log_rate, self.most)
