"""The ARMS estimator."""

import math
from typing import Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.antithetic.copula import repelled_log_uniforms
from estimators.core.averages import deviations, mean
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient
from estimators.core.noise import draw_like, normal, sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_choice, check_count
from estimators.distributions.bernoulli import Bernoulli

# Beyond this the rarer value is never drawn, but its probability keeps full float32 precision.
_LARGEST_LOGIT = 80.0


@pytree
class ARMS(Estimator[Bernoulli, Objective]):
    r"""ARMS: leave-one-out over n negatively dependent samples, reweighted to be unbiased.

    $\frac{1}{n-1} \sum_i (f_i - \bar f) (b_i - s) \cdot \frac{s (1 - s)}{s - P(b_1 = b_2 = 1)}$ per
    variable, where every pair of samples has the joint distribution of a copula. The weight is the
    probability that an independent pair differs, divided by the probability that this pair differs:
    only differing pairs contribute. With two samples it is `DisARM`. Dimitriev and Zhou 2021
    (arXiv:2105.14141).

    With the Dirichlet copula the samples of the rarer value of each variable are negatively
    dependent: $P(u_1 < p, u_2 < p) = \max(0, 2 p^{1/(n-1)} - 1)^{n-1}$. With the Gaussian copula,
    normal variables of correlation $-1/(n-1)$ are compared with the threshold $a = \Phi^{-1}(s)$; a
    pair differs with probability $\frac{2}{\pi} \int_0^{\arctan\sqrt{n/(n-2)}} e^{-a^2 / 2 \cos^2
    t} dt$ (Owen's T).

    Args:
        num_samples: n, at least two.
        copula: "dirichlet" or "gaussian".
    """

    num_samples: int = static()
    copula: Literal["dirichlet", "gaussian"] = static(default="dirichlet")

    unbiased = "yes"
    paper = "dimitriev2021"

    def evaluations(self, distribution: Bernoulli) -> int:
        """One evaluation per sample."""
        return self.num_samples

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with both copulas."""
        return (cls(4), cls(4, "gaussian"))

    def estimate(self, key: jax.Array, distribution: Bernoulli, f: Objective) -> jax.Array:
        """Return the mean of f over the samples, with the weighted differences attached."""
        keys = sample_keys(key, self.num_samples)
        logits = jax.lax.stop_gradient(distribution.logits)
        draw = _gaussian if self.copula == "gaussian" else _dirichlet
        samples, weight = draw(keys, Bernoulli(logits))
        values = jax.vmap(f)(samples)
        signal = deviations(values) / (self.num_samples - 1)
        # The signals sum to zero, so that s cancels.
        gradient = weight * jax.vmap(jnp.multiply)(signal, samples).sum(0)
        return attach_gradient(mean(values), distribution.logits, gradient)

    def check(self) -> None:
        """Raise unless there are at least two samples and the copula is known."""
        check_count("ARMS num_samples", self.num_samples, 2)
        check_choice("ARMS copula", self.copula, ("dirichlet", "gaussian"))


def _dirichlet(keys: jax.Array, distribution: Bernoulli) -> tuple[jax.Array, jax.Array]:
    """Return samples `[n, *event]` of the Dirichlet copula, and the weight of their differences."""
    logits, power = distribution.logits, len(keys) - 1
    sign = jnp.where(logits > 0, -1, 1).astype(logits.dtype)
    noise = jax.vmap(lambda key: sign * distribution.noise(key))(keys)
    log_rare = jax.nn.log_sigmoid(-abs(logits))
    rare = repelled_log_uniforms(noise) < log_rare[None]
    samples = (rare == (sign > 0)[None]).astype(logits.dtype)
    # P(both rare) / P(one rare), without underflow.
    both = jnp.maximum(2 - jnp.exp(-log_rare / power), 0) ** power
    return samples, jax.nn.sigmoid(abs(logits)) / (1 - both)


def _gaussian(keys: jax.Array, distribution: Bernoulli) -> tuple[jax.Array, jax.Array]:
    """Return samples `[n, *event]` of the Gaussian copula, and the weight of their differences."""
    logits, count = distribution.logits, len(keys)
    independent = jax.vmap(lambda key: draw_like(normal, key, logits))(keys)
    repelled = (independent - independent.mean(0, keepdims=True)) * math.sqrt(count / (count - 1))
    rare = jax.nn.sigmoid(-jnp.minimum(abs(logits), _LARGEST_LOGIT))
    threshold = jax.scipy.special.ndtri(rare)
    samples = repelled > jnp.where(logits > 0, threshold, -threshold)[None]
    return samples.astype(logits.dtype), rare * (1 - rare) / _differ(threshold, rare, count)


def _differ(threshold: jax.Array, rare: jax.Array, count: int) -> jax.Array:
    """Return the probability of a pair (1, 0) from the rarer value's threshold and probability."""
    if count == 2:  # each is the negative of the other, so they are never both rare
        return rare
    end = math.atan(math.sqrt(count / (count - 2)))
    # 16 nodes are exact up to rounding for logits up to 15, and to 1e-7 for the largest.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    total = jnp.zeros_like(rare)
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        cosine = math.cos(end * (node + 1) / 2)
        total += weight * jnp.exp(-((threshold / cosine) ** 2) / 2)
    return total * end / (2 * math.pi)
