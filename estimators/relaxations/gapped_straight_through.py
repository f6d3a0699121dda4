"""The gapped straight-through estimator."""

import math
from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.estimator import Estimator
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree
from estimators.core.validation import check_between, check_positive
from estimators.distributions.categorical import Categorical


@pytree
class GappedStraightThrough(Estimator[Categorical, Objective]):
    r"""Gapped straight-through: logits are shifted so that the drawn class leads, without noise.

    The drawn class is raised to the largest logit, and the others are lowered, where necessary, to
    a gap below it: $\theta' = \theta + m_1 - m_2$ with $m_1, m_2$ constant. The gradient is $f'(D)
    J(y) / \tau$ with $y = \mathrm{softmax}(\theta' / \tau)$. It is deterministic given D, unlike
    straight-through Gumbel-softmax. Biased. Fan et al. 2022 (arXiv:2206.07235), section 4.

    Args:
        temperature: $\tau > 0$.
        gap: a number of at least zero, or None for the paper's "p": $-\log(1 - p_D) / p_D$, the
            mean lead of the drawn class over the others under Gumbel noise.
    """

    temperature: Scalar
    gap: Scalar | None = 1.0

    differentiates = True
    paper = "fan2022"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with both gaps of the paper."""
        return (cls(0.5), cls(0.5, None))

    def estimate(self, key: jax.Array, distribution: Categorical, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative at the shifted logits."""
        sample = distribution.sample(key)
        logits = jax.lax.stop_gradient(distribution.logits)
        largest = logits.max(-1, keepdims=True)
        gap = _mean_lead(logits, sample) if self.gap is None else jax.lax.stop_gradient(self.gap)
        moved = jnp.where(sample > 0, largest, jnp.minimum(logits, largest - gap))
        perturbed = moved + (distribution.logits - logits)
        soft = distribution.relaxed(perturbed, jax.lax.stop_gradient(self.temperature))
        return f(replace_gradient(sample, soft))

    def check(self) -> None:
        """Raise unless the temperature is positive, and the gap None or nonnegative."""
        check_positive("GappedStraightThrough temperature", self.temperature)
        if self.gap is not None:
            check_between("GappedStraightThrough gap", self.gap, 0, math.inf)


def _mean_lead(logits: jax.Array, sample: jax.Array) -> jax.Array:
    r"""Return $-\log(1 - p) / p$ of the drawn class, `[..., 1]`, accurate for p near 0 and 1."""
    log_probs = jax.nn.log_softmax(logits)
    chance = jnp.sum(sample * jnp.exp(log_probs), -1, keepdims=True)
    others = jax.nn.logsumexp(log_probs, axis=-1, keepdims=True, where=sample == 0)
    tiny = jnp.finfo(logits.dtype).tiny
    safe = jnp.maximum(chance, tiny)
    lead = jnp.where(chance < 0.5, -jnp.log1p(-jnp.minimum(safe, 0.5)), -others) / safe
    return jnp.where(chance > tiny, lead, jnp.ones_like(lead))
