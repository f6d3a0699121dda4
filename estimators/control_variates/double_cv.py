"""The double control variates estimator."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.control_variates.learning import attach_learning
from estimators.core.averages import deviations, differences, mean, mean_of_others
from estimators.core.estimator import Estimator
from estimators.core.gradients import value_and_slope
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.products import vdot
from estimators.core.pytree import Scalar, learned, pytree, static
from estimators.core.tuning import Tuning
from estimators.core.validation import check_count, check_finite
from estimators.distributions.bernoulli import Bernoulli


@pytree
class DoubleCV(Estimator[Bernoulli, Objective]):
    r"""Double control variates: leave-one-out of f plus a Taylor term from the other samples.

    f at each sample becomes $t_i = f_i + \alpha\, \bar g_{-i} \cdot (b_i - s)$, where $\bar g_{-i}$
    is the mean of f' over the other samples. The gradient is $\frac{1}{n-1} \sum_i (t_i - \bar t)
    (b_i - s) - \alpha\, \bar g\, s (1 - s)$, whose last term is the mean contribution of the Taylor
    terms. So it is unbiased for every $\alpha$, which is learned by gradient descent on the squared
    gradient. With $\alpha = 0$, the paper's initial value, it is `ScoreFunction` with
    `LeaveOneOut`; with $\alpha = -1$ it has zero variance for linear f. Titsias and Shi 2022
    (arXiv:2111.05300).

    Args:
        num_samples: n, at least two.
        alpha: initial value of $\alpha$.
        alpha_change: learned; added to `alpha`.
    """

    num_samples: int = static()
    alpha: Scalar = 0.0
    alpha_change: Scalar = learned(default=0.0)

    unbiased = "yes"
    differentiates = True
    tuning = Tuning(1e-3, is_relative=False)
    paper = "titsias2022"

    def evaluations(self, distribution: Bernoulli) -> int:
        """One evaluation per sample."""
        return self.num_samples

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with two samples, and with four as in the paper."""
        return (cls(2), cls(4))

    def estimate(self, key: jax.Array, distribution: Bernoulli, f: Objective) -> jax.Array:
        """Return the mean of f over the samples, with the corrected differences attached."""
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
            # The signals sum to zero, so that the mean of the samples cancels.
            weighted = jax.vmap(jnp.multiply)(signal, samples).sum(0)
            return Bernoulli(weighted - alpha * excess)

        return attach_learning(mean(values), distribution, self, gradient)

    def check(self) -> None:
        """Raise unless there are at least two samples and alpha is finite."""
        check_finite("DoubleCV alpha", self.alpha)
        check_count("DoubleCV num_samples", self.num_samples, 2)
