"""The VIMCO estimator of multi-sample bounds."""

from typing import Self

import jax

from estimators.bounds.copies import (
    attach_copy_scores,
    finite_baseline,
    shifted,
    too_few,
    with_replaced,
)
from estimators.core.averages import mean_of_others
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.objective import ImportanceBound, Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.chain import Chain


@pytree
class VIMCO(Estimator):
    r"""VIMCO: the score function of a multi-sample bound, with a learning signal per sample.

    $\sum_i (\hat L - \hat L^{-i}) \nabla \log q(z_i)$, beside the ordinary gradient of the
    log-weights, where $\hat L = \log \frac1m \sum_j e^{w_j}$ and $\hat L^{-i}$ has $w_i$ replaced
    by the mean of the others: it depends on them alone, so it is a baseline. Where their
    likelihoods are all zero it is infinite, and 0 takes its place. Needs two samples or more.
    Mnih and Rezende 2016 (arXiv:1602.06725), the geometric mean.
    """

    distributions = (Bernoulli, Categorical, Chain)
    differentiates = False
    needs_bound = True
    paper = "mnih2016"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One of the log-weight for each sample."""
        return distribution.event_shape[0]

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The one there is."""
        return (cls(),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the negated bound, the scores attached."""
        assert isinstance(f, ImportanceBound)
        samples = distribution.sample(key)
        log_weights = f.log_weights(samples)
        stopped, origin = shifted(log_weights)
        baseline = f.reduce(with_replaced(stopped, mean_of_others(stopped)))
        signal = f.reduce(stopped) - finite_baseline(baseline, origin)
        copies = distribution.given(samples)
        return attach_copy_scores(f.reduce(log_weights), copies, samples, signal)

    def refusal(self, distribution: Distribution) -> str | None:
        """Also refuse where there is one sample: it has no others."""
        return super().refusal(distribution) or too_few(distribution)
