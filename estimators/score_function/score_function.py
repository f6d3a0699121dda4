"""The score function estimator, or REINFORCE, with its baselines."""

from collections.abc import Callable
from typing import Self

import jax

from estimators.core.averages import mean
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, fact
from estimators.core.gradients import attach_gradient, attach_tuning
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective, and_context
from estimators.core.pytree import pytree
from estimators.distributions.autoregressive import Autoregressive
from estimators.distributions.bernoulli import Bernoulli, RelaxedBernoulli
from estimators.distributions.categorical import Categorical, RelaxedCategorical
from estimators.distributions.hard_concrete import HardConcrete
from estimators.distributions.invertible_gaussian import InvertibleGaussian
from estimators.distributions.normal import Normal
from estimators.distributions.plackett_luce_subset import PlackettLuceSubset
from estimators.distributions.poisson import Poisson
from estimators.distributions.subset import Subset
from estimators.score_function.baseline import Baseline, check_baseline, given
from estimators.score_function.group_mean import GroupMean
from estimators.score_function.leave_one_out import LeaveOneOut
from estimators.score_function.moving_average import MovingAverage
from estimators.score_function.network import flat_parameters
from estimators.score_function.nvil import NVIL


@pytree
class ScoreFunction(
    Estimator[
        Bernoulli
        | Categorical
        | Normal
        | RelaxedBernoulli
        | RelaxedCategorical
        | Poisson
        | Subset
        | PlackettLuceSubset
        | Autoregressive
        | HardConcrete
        | InvertibleGaussian,
        Objective,
    ]
):
    r"""The score function estimator: $(f(z) - \beta) \nabla_\phi \log q_\phi(z)$.

    Also called REINFORCE or likelihood-ratio estimator. Unbiased for every distribution and f,
    differentiable or not, for a baseline $\beta$ that does not depend on z. Williams 1992.

    Args:
        baseline: None, `MovingAverage`, `LeaveOneOut`, `GroupMean` or `NVIL`.
    """

    baseline: Baseline | None = None

    unbiased = fact(lambda self: given(self.baseline).unbiased)
    paper = fact(lambda self: given(self.baseline).paper)

    def evaluations(self, distribution: Distribution) -> int:
        """One evaluation per sample that the baseline needs."""
        return given(self.baseline).num_evaluations()

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants without a baseline, and with each baseline."""
        baselines = (
            *(None, MovingAverage(0.9), LeaveOneOut(2), NVIL(), NVIL(normalise=True)),
            *(GroupMean(4), GroupMean(4, normalise=True)),
        )
        return tuple(cls(baseline) for baseline in baselines)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of f at the samples, with the weighted score attached."""
        baseline = given(self.baseline)
        parameters = and_context(flat_parameters(distribution), f)
        samples = _map(distribution.sample, sample_keys(key, baseline.num_evaluations()))
        samples = jax.lax.stop_gradient(samples)
        values = _map(f, samples)
        stopped = jax.lax.stop_gradient(values)
        signal = baseline.signal(stopped, parameters)

        def weighted(distribution: Distribution) -> jax.Array:
            return (signal * _map(distribution.log_prob, samples)).mean()

        value = attach_gradient(mean(values), distribution, jax.grad(weighted)(distribution))
        return attach_tuning(value, baseline, baseline.tuning(stopped, parameters))

    def check(self) -> None:
        """Raise unless the baseline is None or a baseline with valid hyperparameters."""
        check_baseline(self.baseline)


def _map(function: Callable[[jax.Array], jax.Array], samples: jax.Array) -> jax.Array:
    """Return `jax.vmap(function)(samples)` without a size-one axis, which makes XLA transpose."""
    return function(samples[0])[None] if len(samples) == 1 else jax.vmap(function)(samples)
