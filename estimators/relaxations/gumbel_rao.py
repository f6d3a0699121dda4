"""The Gumbel-Rao estimator."""

from typing import Self

import jax

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.gradients import replace_gradient
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_count, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.relaxations.rao_blackwell import mean_relaxed


@pytree
class GumbelRao(Estimator[Bernoulli | Categorical, Objective]):
    r"""Gumbel-Rao: straight-through Gumbel-softmax, averaged over the noise given the hard sample.

    $f'(D) \frac1K \sum_k J(y_k) / \tau$ with $y_k = \mathrm{softmax}((\theta + G_k) / \tau)$ and
    $G_k$ drawn given $\arg\max(\theta + G_k) = D$. One evaluation of f for any K. With K = 1 it has
    the distribution of `StraightThroughGumbelSoftmax`; its mean, and so its bias, is the same for
    every K, and its variance is $E\,\mathrm{var}(\mathrm{STGS} | D) / K +
    \mathrm{var}\,E(\mathrm{STGS} | D)$. Paulus et al. 2021 (arXiv:2010.04838), GR-MCK.

    Args:
        temperature: $\tau > 0$.
        num_samples: K, at least 1.
    """

    temperature: Scalar
    num_samples: int = static(default=10)

    differentiates = True
    paper = "paulus2021"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with a low and a high temperature."""
        return (cls(0.5, 10), cls(1.0, 10))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative of the mean relaxed sample."""
        keys = sample_keys(key, 1 + self.num_samples)
        sample = distribution.sample(keys[0])
        soft = mean_relaxed(keys[1:], distribution, sample, self.temperature)
        return f(replace_gradient(sample, soft))

    def check(self) -> None:
        """Raise unless the temperature is positive and there is at least one sample."""
        check_positive("GumbelRao temperature", self.temperature)
        check_count("GumbelRao num_samples", self.num_samples, 1)
