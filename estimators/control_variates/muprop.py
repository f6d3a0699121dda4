"""The MuProp estimator."""

from typing import Self

import jax

from estimators.core.continuous_pass import mean_field_pass
from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator, fact
from estimators.core.gradients import attach_gradient, attach_tuning, value_and_slope
from estimators.core.objective import Objective, and_context
from estimators.core.products import vdot
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.score_function.baseline import Baseline, check_baseline, given
from estimators.score_function.network import flat_parameters
from estimators.score_function.nvil import NVIL


@pytree
class MuProp(Estimator[Bernoulli | Categorical, Objective]):
    r"""MuProp: an expansion of f about the mean $\mu$ as the score function's control variate.

    $(f(z) - f(\mu) - f'(\mu) \cdot (z - \mu)) \nabla \log q(z) + f'(\mu) \nabla \mu$. Unbiased,
    with zero variance for linear f. If f contains further layers, $f(\mu)$ is one mean-field
    pass through all of them. Gu et al. 2016 (arXiv:1511.05176).

    A baseline is subtracted from the remainder of the expansion. One that normalises
    (`NVIL(normalise=True)`) scales both terms, which keeps the direction of the mean gradient; the
    paper leaves this open.

    Args:
        baseline: None, or a baseline for one sample: `MovingAverage` or `NVIL`.
    """

    baseline: Baseline | None = None

    unbiased = fact(lambda self: given(self.baseline).unbiased)
    differentiates = True
    continuous_passes = 1
    paper = "gu2016"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation at the sample and one at the mean."""
        return 2

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants without a baseline, and with a normalising one."""
        return (cls(), cls(NVIL(normalise=True)))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the sample, with the corrected score attached."""
        sample = distribution.sample(key)
        with mean_field_pass():
            at_mean, slope = value_and_slope(f)(distribution.mean)
        value = f(sample)
        rest = value - at_mean - vdot(slope, sample - distribution.mean)
        rest, slope = jax.lax.stop_gradient((rest[None], slope))
        baseline = given(self.baseline)
        parameters = and_context(flat_parameters(distribution), f)
        (signal,) = baseline.signal(rest, parameters)

        def control(distribution: Discrete) -> jax.Array:
            # Its derivative: the score times the remainder, and the derivative of the mean.
            path = baseline.scale() * vdot(slope, distribution.mean)
            return signal * distribution.log_prob(sample) + path

        value = attach_gradient(value, distribution, jax.grad(control)(distribution))
        return attach_tuning(value, baseline, baseline.tuning(rest, parameters))

    def check(self) -> None:
        """Raise unless the baseline takes one sample and has valid settings."""
        check_baseline(self.baseline)
        if given(self.baseline).num_evaluations() > 1:
            raise ValueError(f"MuProp uses one sample, too few for {self.baseline}")
