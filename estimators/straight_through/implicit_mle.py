"""Implicit maximum likelihood: a difference of two most probable subsets."""

import dataclasses
from typing import Literal, Self

import jax
import jax.numpy as jnp

from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient, value_and_slope
from estimators.core.noise import draw_like, gamma, gumbel
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_choice, check_positive
from estimators.distributions.subset import Subset

_TERMS = 10


@pytree
class ImplicitMLE(Estimator[Subset, Objective]):
    r"""I-MLE: the difference of the k largest perturbed logits before and after a step along -f'.

    $(z - z') / \lambda$, where z are the k largest of $\theta + \epsilon$, and $z'$ those of
    $\theta - \lambda f'(z) + \epsilon$ with the same noise. Where the difference of the means would
    be taken, it would tend to `SIMPLE` for small $\lambda$. As published without the factor
    $1 / \lambda$, which only scales it.

    f is evaluated at z, whose law is only close to the distribution: with Gumbel noise it is
    `PlackettLuceSubset`, with k = 1 exact. The published sum of gammas, $\epsilon = \frac{\tau}{k}
    (\sum_{r=1}^{10} \Gamma(\frac1k, \frac{r}{k}) - \log 10)$ with shapes and rates, is such that k
    independent ones add up to about a Gumbel variable; at $\tau = 1$ its law is further from the
    distribution than that of Gumbel noise. So there is a bias even for linear f. A small $\lambda$
    gives zero nearly always, a large one more bias.

    Niepert et al. 2021 (arXiv:2106.01798).

    Args:
        step: $\lambda > 0$.
        noise: "gumbel" or "sum_of_gamma".
        temperature: $\tau > 0$, which multiplies the noise.
    """

    step: Scalar = 10.0
    noise: Literal["gumbel", "sum_of_gamma"] = static(default="gumbel")
    temperature: Scalar = 1.0

    differentiates = True
    exact_law = False
    paper = "niepert2021"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with a long and a short step, and with both kinds of noise."""
        return (cls(), cls(1.0), cls(noise="sum_of_gamma"))

    def estimate(self, key: jax.Array, distribution: Subset, f: Objective) -> jax.Array:
        """Return f at the perturbed subset, with the difference attached."""
        logits = jax.lax.stop_gradient(distribution.logits)
        if self.noise == "gumbel":
            noise = draw_like(gumbel, key, logits)
        else:
            noise = _sum_of_gamma(key, distribution)
        perturbed = logits + jax.lax.stop_gradient(self.temperature) * noise
        sample = distribution.largest(perturbed)
        value, slope = value_and_slope(f)(sample)
        step = jax.lax.stop_gradient(self.step)
        moved = distribution.largest(perturbed - step * slope)
        change = dataclasses.replace(distribution, logits=(sample - moved) / step)
        return attach_gradient(value, distribution, change)

    def check(self) -> None:
        """Raise unless step and temperature are positive and the noise is known."""
        check_positive("ImplicitMLE step", self.step)
        check_positive("ImplicitMLE temperature", self.temperature)
        check_choice("ImplicitMLE noise", self.noise, ("gumbel", "sum_of_gamma"))


def _sum_of_gamma(key: jax.Array, distribution: Subset) -> jax.Array:
    """Return noise shaped like an event, k of which add up to about a Gumbel variable."""
    shape, k = (_TERMS, *distribution.event_shape), distribution.k
    terms = gamma(key, 1 / k, shape, distribution.dtype)
    rates = jnp.arange(1, _TERMS + 1, dtype=distribution.dtype) / k
    total = jnp.tensordot(1 / rates, terms, 1, precision="highest")
    return (total - jnp.log(jnp.asarray(_TERMS, distribution.dtype))) / k
