"""Straight-through with Radau's quadrature, as in sparse mixtures of experts."""

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient, value_and_slope
from estimators.core.noise import sample_keys, uniform
from estimators.core.objective import Objective
from estimators.core.products import vdot
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class RadauStraightThrough(Estimator[Bernoulli | Categorical, Objective]):
    r"""The score times $f'(m D) \cdot D$, where m is 1 with probability 1/4, else 1/3.

    Over m, $f'(m D) \cdot D$ has the mean $\frac14 f'(D) \cdot D + \frac34 f'(\frac13 D) \cdot D$:
    the two-point Radau rule for $f(D) - f(0)$, which is exact if f is a cubic along the ray from 0
    to each sample D. So it is unbiased for every cubic f, coupled or not, and biased otherwise. Its
    variance is that of the score function with the baseline f(0), which costs the same and is never
    biased; in a mixture of experts, f(0) is not available. After SparseMixer-v2, Liu et al. 2024
    (arXiv:2409.12136), which calls f at $m D$ only, and makes m = 1 where D is the likeliest class.
    """

    differentiates = True
    paper = "liu2024"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation at the sample, and one where f is differentiated."""
        return 2

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the weighted score attached."""
        for_sample, for_scale = sample_keys(key, 2)
        sample = distribution.sample(for_sample)
        is_end = uniform(for_scale, dtype=sample.dtype) < 0.25
        scale = jnp.where(is_end, 1, 1 / 3).astype(sample.dtype)
        _, slope = value_and_slope(f)(scale * sample)
        weight = vdot(slope, sample)
        gradient = jax.tree.map(lambda score: weight * score, distribution.score(sample))
        return attach_gradient(f(sample), distribution, gradient)
