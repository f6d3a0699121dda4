"""The pathwise estimator, or reparametrisation trick."""

import jax

from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.arrival_times import ArrivalTimes
from estimators.distributions.bernoulli import RelaxedBernoulli
from estimators.distributions.categorical import RelaxedCategorical
from estimators.distributions.hard_concrete import HardConcrete
from estimators.distributions.invertible_gaussian import InvertibleGaussian
from estimators.distributions.normal import Normal
from estimators.distributions.relaxed_count import RelaxedCount


@pytree
class Pathwise(
    Estimator[
        Normal
        | RelaxedBernoulli
        | RelaxedCategorical
        | ArrivalTimes
        | RelaxedCount
        | HardConcrete
        | InvertibleGaussian,
        Objective,
    ]
):
    r"""The pathwise estimator: $\nabla_\phi f(z_\phi(\epsilon))$ at parameter-free noise.

    Also called the reparametrisation trick. For continuous distributions and differentiable f;
    unbiased. Kingma and Welling 2014 (arXiv:1312.6114), Rezende et al. 2014 (arXiv:1401.4082).
    """

    unbiased = "yes"
    differentiates = True
    paper = "kingma2014"

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at a sample that is differentiable in the parameters."""
        return f(distribution.sample(key))
