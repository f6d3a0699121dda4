"""SIMPLE: straight-through for subsets."""

import jax

from estimators.core.estimator import Estimator
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.subset import Subset


@pytree
class SIMPLE(Estimator[Subset, Objective]):
    r"""SIMPLE: f' at an exact subset, times the derivative of the marginal probabilities.

    $C f'(z)$, where $C = \mathrm{Cov}(z)$ is the derivative of the marginal probabilities $\mu$ in
    the logits. Exact, without variance, for linear f; biased otherwise, even for separable f. With
    k = 1 it is `StraightThrough`. On the subsets $z_i^2 = z_i$, but the two have different
    derivatives: what f is between the subsets matters.

    Ahmed et al. 2023 (arXiv:2210.01941).
    """

    differentiates = True
    paper = "ahmed2023"

    def estimate(self, key: jax.Array, distribution: Subset, f: Objective) -> jax.Array:
        """Return f at the subset, with the derivative of the marginal probabilities."""
        return f(replace_gradient(distribution.sample(key), distribution.mean))
