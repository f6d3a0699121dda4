"""The local DisARM estimator of multi-sample bounds."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.antithetic.pairs import antithetic_pair, paired_score
from estimators.bounds.copies import shifted, with_replaced
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_gradient
from estimators.core.objective import ImportanceBound, Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli


@pytree
class LocalDisARM(Estimator):
    r"""Local DisARM: each sample of a multi-sample bound against its own antithetic one.

    With pairs $(b_i, \tilde b_i)$, i = 1 ... m, the bound changes by $L(b) - L(b_{-i}, \tilde b_i)$
    when one sample is replaced. That step, weighted as in `DisARM`, is the gradient in sample i.
    The roles of b and $\tilde b$ are exchanged as well, and the mean of both is taken (the
    symmetrised form), for the log-weights are there already. Unbiased: given the other samples,
    each sample's part is DisARM. With one sample it is `DisARM` on the bound.
    Dong, Mnih and Tucker 2020 (arXiv:2006.10680), section on multi-sample bounds.
    """

    distributions = (Bernoulli,)
    differentiates = False
    needs_bound = True
    paper = "dong2020"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """Two of the log-weight for each sample."""
        return 2 * distribution.event_shape[0]

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The one there is."""
        return (cls(),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of both negated bounds, the weighted steps attached."""
        assert isinstance(distribution, Bernoulli) and isinstance(f, ImportanceBound)
        first, second = antithetic_pair(distribution, distribution.noise(key))
        at_first, at_second = f.log_weights(first), f.log_weights(second)
        bounds = f.reduce(at_first), f.reduce(at_second)
        (first_shifted, second_shifted), _ = shifted(jnp.stack([at_first, at_second]))
        step = f.reduce(first_shifted) - f.reduce(with_replaced(first_shifted, second_shifted))
        back = f.reduce(second_shifted) - f.reduce(with_replaced(second_shifted, first_shifted))
        weight = paired_score(distribution, first, second)
        gradient = jax.vmap(jnp.multiply)((step - back) / 2, weight)
        return attach_gradient((bounds[0] + bounds[1]) / 2, distribution.logits, gradient)

    def refusal(self, distribution: Distribution) -> str | None:
        """Also refuse where the event has no axis of samples."""
        if reason := super().refusal(distribution):
            return reason
        return None if distribution.event_shape else "needs samples: q.independent(m)"
