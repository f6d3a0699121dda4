"""The VIMCO estimator for multi-sample bounds."""

import jax

from estimators.bounds.copies import (
    attach_copy_scores,
    finite_baseline,
    shifted,
    too_few,
    with_replaced,
)
from estimators.core.averages import mean_of_others
from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.objective import ImportanceBound
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.chain import Chain


@pytree
class VIMCO(Estimator[Bernoulli | Categorical | Chain, ImportanceBound]):
    r"""VIMCO: the score function of a multi-sample bound, with a learning signal per sample.

    $\sum_i (\hat L - \hat L^{-i}) \nabla \log q(z_i)$, in addition to the ordinary gradient of the
    log-weights, where $\hat L = \log \frac1m \sum_j e^{w_j}$ and $\hat L^{-i}$ has $w_i$ replaced
    by the mean of the others. The latter is a baseline, since it depends on them alone; if their
    likelihoods are all zero, it is infinite and replaced by 0. Needs at least two samples. Mnih and
    Rezende 2016 (arXiv:1602.06725), the variant with the geometric mean.
    """

    unbiased = "yes"
    paper = "mnih2016"

    def evaluations(self, distribution: Discrete | Chain) -> int:
        """One evaluation of the log-weight per sample."""
        return distribution.event_shape[0]

    def estimate(
        self, key: jax.Array, distribution: Discrete | Chain, f: ImportanceBound
    ) -> jax.Array:
        """Return the negated bound, with the weighted scores attached."""
        samples = distribution.sample(key)
        log_weights = f.log_weights(samples)
        stopped, origin = shifted(log_weights)
        baseline = f.reduce(with_replaced(stopped, mean_of_others(stopped)))
        signal = f.reduce(stopped) - finite_baseline(baseline, origin)
        return attach_copy_scores(f.reduce(log_weights), distribution, samples, signal)

    def unfit(self, distribution: Discrete | Chain) -> str | None:
        """Raise if there is only one sample."""
        return too_few(distribution)
