"""The double control variates estimator."""

from typing import Any, Self

import jax
import jax.numpy as jnp

from estimators.core.averages import deviations, differences, mean, mean_of_others
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_learning, value_and_slope
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.products import vdot
from estimators.core.pytree import learned, pytree, static
from estimators.core.tuning import Tuning
from estimators.core.validation import check_count, check_finite
from estimators.distributions.bernoulli import Bernoulli


@pytree
class DoubleCV(Estimator):
    r"""Double control variates: leave-one-out of f plus a Taylor term from the other samples.

    f at each sample becomes $t_i = f_i + \alpha\, \bar g_{-i} \cdot (b_i - s)$, where $\bar g_{-i}$
    is the mean of f' over the other samples; then $\frac{1}{n-1} \sum_i (t_i - \bar t) (b_i - s) -
    \alpha\, \bar g\, s (1 - s)$. The last term is the mean of what the Taylor terms add, so it is
    unbiased for every alpha, which is learned by descent on the squared gradient: `alpha_change` is
    added to it. With alpha = 0, the paper's start, it is `ScoreFunction` with `LeaveOneOut`; with
    alpha = -1 it has no variance for linear f. Titsias and Shi 2022 (arXiv:2111.05300).

    Args:
        num_samples: n, at least two.
        alpha: $\alpha$, where learning starts.
        alpha_change: learned.
    """

    num_samples: int = static()
    alpha: Any = 0.0
    alpha_change: Any = learned(default=0.0)

    distributions = (Bernoulli,)
    differentiates = True
    tuning = Tuning(1e-3, is_relative=False)
    paper = "titsias2022"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One for each sample."""
        del distribution
        return self.num_samples

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A pair, and four samples as in the paper."""
        return (cls(2), cls(4))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of f over the samples, the corrected differences attached."""
        assert isinstance(distribution, Bernoulli)
        count = self.num_samples
        samples = jax.vmap(distribution.sample)(sample_keys(key, count))
        values, slopes = jax.vmap(value_and_slope(f))(samples)
        stopped, slopes, centre = jax.lax.stop_gradient((values, slopes, distribution.mean))
        others = mean_of_others(slopes)
        taylor = jax.vmap(vdot)(others, samples - centre[None])
        excess = slopes.mean(0) * centre * (1 - centre)

        def gradient(estimator: "DoubleCV") -> Bernoulli:
            alpha = jax.lax.stop_gradient(estimator.alpha) + estimator.alpha_change
            total = differences(stopped) + alpha * taylor
            signal = deviations(total) / (count - 1)
            # The signals sum to zero, so the mean of the samples is not needed.
            weighted = jax.vmap(jnp.multiply)(signal, samples).sum(0)
            return Bernoulli(weighted - alpha * excess)

        return attach_learning(mean(values), distribution, self, gradient)

    def check(self) -> None:
        """Raise unless there are two samples or more, and alpha is a finite number."""
        check_finite("DoubleCV alpha", self.alpha)
        check_count("DoubleCV num_samples", self.num_samples, 2)
