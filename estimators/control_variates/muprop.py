"""The MuProp estimator."""

import dataclasses
from typing import Self

import jax

from estimators.core.continuous_pass import mean_field_pass
from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_gradient, attach_tuning, value_and_slope
from estimators.core.network import flat_parameters
from estimators.core.objective import Objective
from estimators.core.products import vdot
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.score_function.baseline import Baseline, check_baseline, given
from estimators.score_function.nvil import NVIL


@pytree
class MuProp(Estimator):
    r"""MuProp: an expansion of f about the mean $\mu$ as the score function's control variate.

    $(f(z) - f(\mu) - f'(\mu) \cdot (z - \mu)) \nabla \log q(z) + f'(\mu) \nabla \mu$. Unbiased;
    without variance for linear f. Where f holds further layers, f(mu) is one mean-field pass
    through all of them. Gu et al. 2016 (arXiv:1511.05176).

    A baseline is subtracted from what the expansion leaves of f. One that normalises
    (`NVIL(normalise=True)`) divides the whole gradient, the second term too, or the sum would be
    tilted; the paper does not say.

    Args:
        baseline: None, or a baseline of one sample: `MovingAverage` or `NVIL`.
    """

    baseline: Baseline | None = None

    distributions = (Bernoulli, Categorical)
    differentiates = True
    continuous_passes = 1
    paper = "gu2016"

    @property
    def unbiased(self) -> Unbiased:
        """As the baseline leaves it."""
        return given(self.baseline).unbiased

    def evaluations(self, distribution: Distribution) -> int:
        """One at the sample and one at the mean."""
        del distribution
        return 2

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Without a baseline, and with one that normalises."""
        return (cls(), cls(NVIL(normalise=True)))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the sample, with the corrected score attached at the distribution."""
        assert isinstance(distribution, Discrete)
        sample = distribution.sample(key)
        with mean_field_pass():
            at_mean, slope = value_and_slope(f)(distribution.mean)
        value = f(sample)
        rest = value - at_mean - vdot(slope, sample - distribution.mean)
        rest, slope = jax.lax.stop_gradient((rest[None], slope))
        baseline, parameters = given(self.baseline), flat_parameters(distribution)
        (signal,) = baseline.signal(rest, parameters)

        def control(distribution):
            # Only its derivative counts: the score times the rest, and the mean's own path.
            path = baseline.scale() * vdot(slope, distribution.mean)
            return signal * distribution.log_prob(sample) + path

        value = attach_gradient(value, distribution, jax.grad(control)(distribution))
        return attach_tuning(value, baseline, baseline.tuning(rest, parameters))

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Give the baseline's network weights; `key` is consumed."""
        return dataclasses.replace(
            self, baseline=self.baseline and self.baseline.initialise(key, distribution)
        )

    def check(self) -> None:
        """Raise where the baseline is none of one sample, or has a bad hyperparameter."""
        check_baseline(self.baseline)
        if given(self.baseline).num_evaluations() > 1:
            raise ValueError(f"MuProp has one sample, too few for {self.baseline}")
