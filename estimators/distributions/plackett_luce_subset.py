"""Subsets of the k largest of n perturbed logits: the law of Plackett and Luce."""

import math

import jax
import jax.numpy as jnp

from estimators.core.clocks import nodes, rungs
from estimators.core.noise import draw_like, gumbel
from estimators.core.pytree import pytree, static
from estimators.distributions.subset import SubsetLaw


@pytree
class PlackettLuceSubset(SubsetLaw):
    r"""The k largest of n perturbed logits $\theta + G$ with Gumbel noise, as a set.

    The law of k draws without replacement, with probabilities in proportion to $w = e^\theta$ of
    the items that are left, whose order is forgotten. It equals `Subset` for k = 1 or equal logits,
    and differs from it otherwise: in particular it is no exponential family, and its marginal
    probabilities have no closed form. The probability of a set is

    $$\int_0^\infty e^{-t} \prod_{z_i = 1} (1 - e^{-w_i t / W}) \, dt, \qquad
    W = \sum_{z_i = 0} w_i:$$

    among exponential clocks with rates w, all in the set ring before the first one outside it. The
    integral is computed in log t by the trapezoidal rule, which converges exponentially, at nodes
    set by k and the precision.

    A constant added to all logits changes nothing. An item whose logit is minus infinity is never
    chosen, and one whose logit is plus infinity always. The leading axes are independent subsets.

    Args:
        logits: $\theta$, of shape `[..., n]`, float32 or float64. A sample has the same shape and
            dtype, and consists of zeros and, in each row, k ones.
        k: how many, from 1 to n - 1.
    """

    logits: jax.Array
    k: int = static()

    def perturb(self, key: jax.Array) -> jax.Array:
        """Return the logits plus Gumbel noise; `key` is consumed."""
        return self.canonical().logits + draw_like(gumbel, key, self.logits)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample: the k largest of the perturbed logits; `key` is consumed."""
        return self.largest(self.perturb(key))

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the log-probability of one hard sample in nats."""
        forbidden = jnp.where(sample > 0, jnp.isneginf(self.logits), jnp.isposinf(self.logits))
        logits = self.canonical().logits
        outside = jnp.where(sample > 0, -jnp.inf, logits)
        outside = jax.nn.logsumexp(outside, axis=-1, keepdims=True)
        ratio = logits - outside
        times = nodes(self.k, float(jnp.finfo(self.dtype).eps))
        log_t = jnp.asarray(times, self.dtype).reshape(-1, *[1] * ratio.ndim)
        rung = jnp.where(sample[None] > 0, rungs(log_t, ratio[None]), 0).sum(-1, keepdims=True)
        terms = log_t - jnp.exp(log_t) + rung + math.log(times[1] - times[0])
        integral = jax.nn.logsumexp(terms, axis=0)[..., 0]
        rare = jnp.where(sample > 0, jnp.minimum(ratio, 0), 0).sum(-1)
        return jnp.sum(integral + rare) + jnp.where(forbidden.any(), -jnp.inf, 0)
