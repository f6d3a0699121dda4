"""The DisARM estimator for categorical variables."""

import jax
import jax.numpy as jnp

from estimators.antithetic.pairs import antithetic_pair, at_pair, paired_score
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient
from estimators.core.noise import logistic
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class CategoricalDisARM(Estimator[Categorical, Objective]):
    r"""DisARM by stick-breaking: each class but the last has a bit, "this class if no earlier".

    Bit l has the logit $\alpha_l = \theta_l - \log \sum_{k > l} e^{\theta_k}$, and the class is
    that of the first bit that is one. An antithetic pair of such bits gives two samples D and
    $\tilde D$. With $\Delta = f(D) - f(\tilde D)$ the gradient in $\alpha_l$ is

    - $\frac12 \Delta (b_l - \tilde b_l) \sigma(|\alpha_l|)$, as in `DisARM`, if both samples reach
      bit l;
    - $\frac12 \Delta (b_l - \sigma(\alpha_l))$ if only D does: f at the other sample, which does
      not depend on bit l, is a baseline; and likewise with the roles exchanged.

    The chain rule then gives the gradient in $\theta$. Unbiased; with two classes it is `DisARM`.
    The sticks follow the order of the classes. Dong, Mnih and Tucker 2021 (arXiv:2106.08056),
    DisARM-SB, as in the authors' code.
    """

    unbiased = "yes"
    paper = "dong2021"

    def evaluations(self, distribution: Categorical) -> int:
        """One evaluation per sample of the pair."""
        return 2

    def estimate(self, key: jax.Array, distribution: Categorical, f: Objective) -> jax.Array:
        """Return the mean of f over the pair, with the weighted differences attached."""
        logits, back = jax.vjp(_sticks, jax.lax.stop_gradient(distribution.logits))
        sticks = Bernoulli(logits)
        bits = antithetic_pair(sticks, logistic(key, logits.shape, logits.dtype))
        (reached, sample), (reached_too, other) = map(_first_one, bits)
        at_first, at_second = at_pair(f, sample, other)
        first, second = bits
        score, score_too = first - sticks.mean, second - sticks.mean
        alone = (reached * (1 - reached_too) * score - reached_too * (1 - reached) * score_too) / 2
        weight = reached * reached_too * paired_score(sticks, first, second) + alone
        step = jax.lax.stop_gradient(at_first - at_second).astype(weight.dtype)
        (gradient,) = back(step * weight)
        return attach_gradient((at_first + at_second) / 2, distribution.logits, gradient)


def _sticks(logits: jax.Array) -> jax.Array:
    """Return the logits `[..., K - 1]` of each class but the last against all later ones."""
    later = jax.lax.cumlogsumexp(logits, logits.ndim - 1, reverse=True)[..., 1:]
    return logits[..., :-1] - later


def _first_one(bits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return which of the bits `[..., K - 1]` are reached, and the one-hot class `[..., K]`."""
    none = jnp.cumprod(1 - bits, axis=-1)
    reached = jnp.concatenate([jnp.ones_like(none[..., :1]), none[..., :-1]], -1)
    return reached, jnp.concatenate([reached * bits, none[..., -1:]], -1)
