"""The local DisARM estimator for multi-sample bounds."""

import jax
import jax.numpy as jnp

from estimators.antithetic.pairs import antithetic_pair, paired_score
from estimators.bounds.copies import shifted, with_replaced
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient
from estimators.core.objective import ImportanceBound
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli


@pytree
class LocalDisARM(Estimator[Bernoulli, ImportanceBound]):
    r"""Local DisARM: each sample of a multi-sample bound and its antithetic counterpart.

    With pairs $(b_i, \tilde b_i)$, i = 1 ... m, the bound changes by $L(b) - L(b_{-i}, \tilde b_i)$
    when one sample is replaced. That difference, weighted as in `DisARM`, is the gradient in sample
    i. It is averaged with the gradient after exchanging b and $\tilde b$ (the symmetrised form),
    which needs no further log-weights. Unbiased: given the other samples, the gradient in each
    sample is DisARM. With one sample it is `DisARM` on the bound. Dong, Mnih and Tucker 2020
    (arXiv:2006.10680), section on multi-sample bounds.
    """

    unbiased = "yes"
    paper = "dong2020"

    def evaluations(self, distribution: Bernoulli) -> int:
        """Two evaluations of the log-weight per sample."""
        return 2 * distribution.event_shape[0]

    def estimate(self, key: jax.Array, distribution: Bernoulli, f: ImportanceBound) -> jax.Array:
        """Return the mean of both negated bounds, with the weighted differences attached."""
        first, second = antithetic_pair(distribution, distribution.noise(key))
        at_first, at_second = f.log_weights(first), f.log_weights(second)
        bounds = f.reduce(at_first), f.reduce(at_second)
        (first_shifted, second_shifted), _ = shifted(jnp.stack([at_first, at_second]))
        step = f.reduce(first_shifted) - f.reduce(with_replaced(first_shifted, second_shifted))
        back = f.reduce(second_shifted) - f.reduce(with_replaced(second_shifted, first_shifted))
        weight = paired_score(distribution, first, second)
        gradient = jax.vmap(jnp.multiply)((step - back) / 2, weight)
        return attach_gradient((bounds[0] + bounds[1]) / 2, distribution.logits, gradient)

    def unfit(self, distribution: Bernoulli) -> str | None:
        """Raise if the event has no axis of samples."""
        return None if distribution.event_shape else "needs samples: q.independent(m)"
