"""The invertible Gaussian reparametrisation: a normal variable, mapped to the simplex."""

import math
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.distribution import Continuous
from estimators.core.noise import draw_like, normal
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_positive, is_concrete
from estimators.distributions.normal import Normal
from estimators.distributions.temperature import check_temperature

_NODES = 200


@pytree
class InvertibleGaussian(Continuous):
    r"""The invertible Gaussian reparametrisation (IGR), in log-simplex space.

    Of K - 1 normal variables $\kappa = \mu + e^s \epsilon$, the softmax++

    $$y_k = \frac{e^{\kappa_k / \tau}}{\delta + \sum_{j < K} e^{\kappa_j / \tau}}, \qquad y_K =
    \frac{\delta}{\delta + \sum_{j < K} e^{\kappa_j / \tau}}.$$

    A sample is $x = \log y$, as that of `RelaxedCategorical`, whose density is finite at any
    temperature; `squash` gives y. The map is invertible, so a divergence is that of the normal
    variables. It is a law of its own, with parameters of its own: no relaxation of a
    `Categorical`. Potapczynski et al. 2020 (arXiv:1912.09588).

    Args:
        mean: $\mu$, of shape `[..., K - 1]`; a sample has the shape `[..., K]`.
        log_scale: s, of the same shape.
        temperature: $\tau > 0$, a scalar or an array of shape `[..., 1]`.
        delta: $\delta > 0$, static.
    """

    mean: jax.Array
    log_scale: jax.Array
    temperature: Scalar
    delta: float = static(default=1.0)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample, one class more than the means."""
        *outer, last = jnp.shape(self.mean)
        return (*outer, last + 1)

    @property
    def normal(self) -> Normal:
        r"""The law of $\kappa$."""
        return Normal(self.mean, self.log_scale)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw $x$, differentiable in the parameters; `key` is consumed."""
        noise = draw_like(normal, key, self.mean)
        scaled = (self.mean + jnp.exp(self.log_scale) * noise) / self.temperature
        last = jnp.full_like(scaled[..., :1], math.log(self.delta))
        return jax.nn.log_softmax(jnp.concatenate([scaled, last], -1))

    def squash(self, sample: jax.Array) -> jax.Array:
        """Return the variable on the simplex, $e^x$."""
        return jnp.exp(sample)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        r"""Return the log-density of the first K - 1 entries of $x$ in nats.

        $\log N(\kappa) + (K - 1) \log \tau - x_K$ with $\kappa_k = \tau (x_k - x_K + \log \delta)$.
        """
        first, last = sample[..., :-1], sample[..., -1:]
        inverse = self.temperature * (first - last + math.log(self.delta))
        log_temperature = jnp.broadcast_to(jnp.log(self.temperature), first.shape)
        return self.normal.log_prob(inverse) + log_temperature.sum() - last.sum()

    def log_density(self, squashed: jax.Array) -> jax.Array:
        """Return the log-density of $y = e^x$ in nats, in its first K - 1 entries."""
        log = jnp.log(squashed)
        return self.log_prob(log) - log[..., :-1].sum()

    def kl(self, other: Self) -> jax.Array:
        """Return the Kullback-Leibler divergence from `self` to `other` in nats.

        Raises:
            ValueError: if their temperatures or deltas differ, as far as they are known: there is
                no closed form then.
        """
        temperatures = self.temperature, other.temperature
        alike = not all(map(is_concrete, temperatures)) or np.all(np.equal(*temperatures))
        if not (alike and self.delta == other.delta):
            raise ValueError("InvertibleGaussian.kl needs one temperature and one delta for both")
        return self.normal.kl(other.normal)

    def class_probs(self) -> jax.Array:
        r"""Return the probability that each class is the largest, `[..., K]`.

        Of the last class $\prod_k \Phi((\tau \log \delta - \mu_k) / \sigma_k)$; of the others by
        quadrature with 200 nodes, whose error is that of rounding unless one scale is below a tenth
        of another.
        """
        threshold = jnp.broadcast_to(self.temperature * math.log(self.delta), self.mean.shape)
        scale = jnp.exp(self.log_scale)
        below = jax.scipy.special.ndtr((threshold - self.mean) / scale)
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        # Of each variable, from the threshold on, within nine scales of where it is likeliest.
        start = jnp.maximum(threshold, self.mean - 9 * scale)
        half = (jnp.maximum(start, self.mean) + 9 * scale - start)[..., None] / 2
        shape = (*half.shape[:-1], _NODES)
        nodes, weights = (
            jnp.broadcast_to(jnp.asarray(one, self.dtype), shape) for one in (nodes, weights)
        )
        points = start[..., None] + half * (1 + nodes)  # [..., K - 1, nodes]
        standard = (points - self.mean[..., None]) / scale[..., None]
        density = jnp.exp(-0.5 * standard**2) / (math.sqrt(2 * math.pi) * scale[..., None])
        others = jax.scipy.special.log_ndtr(
            (points[..., :, None, :] - self.mean[..., None, :, None]) / scale[..., None, :, None]
        )  # [..., K - 1, other, nodes]
        own = jnp.broadcast_to(jnp.eye(self.mean.shape[-1])[..., None] > 0, others.shape)
        rest = jnp.exp(jnp.where(own, 0, others).sum(-2))
        first = jnp.sum(half * weights * density * rest, -1)
        return jnp.concatenate([first, below.prod(-1, keepdims=True)], -1)

    def check(self) -> None:
        """Raise for wrong dtypes or shapes, or a temperature or delta out of range."""
        if jnp.ndim(self.mean) == 0:
            raise ValueError("InvertibleGaussian mean must have an axis of K - 1 classes")
        self.normal.check()
        check_temperature(self, (*jnp.shape(self.mean)[:-1], 1))
        check_positive("InvertibleGaussian delta", self.delta)
