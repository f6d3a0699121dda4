"""The relaxation of the k largest perturbed logits."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.estimator import Estimator, fact
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_choice, check_positive
from estimators.distributions.plackett_luce_subset import PlackettLuceSubset


@pytree
class RelaxedTopK(Estimator[PlackettLuceSubset, Objective]):
    r"""The k largest perturbed logits, relaxed: a sum of k softmaxes without replacement.

    From $r = \theta + G$ with Gumbel noise, k times: $y = \mathrm{softmax}(r / \tau)$, which is
    added to the result, then $r \leftarrow r + \log(1 - y)$. The sum of the result is k, but its
    entries may exceed 1. As the temperature falls it tends to the k largest perturbed logits, whose
    law is `PlackettLuceSubset`, not `Subset`. With k = 1 it is `GumbelSoftmax`.

    Value and gradient are those of the relaxed expectation, biased for the discrete one. With
    `straight_through`, f is evaluated at the k largest, with the derivative of the relaxed sample
    of the same noise; biased too.

    Xie and Ermon 2019 (arXiv:1901.10517).

    Args:
        temperature: $\tau > 0$.
        straight_through: whether f is evaluated at hard samples.
    """

    temperature: Scalar
    straight_through: bool = static(default=False)

    differentiates = True
    relaxes = fact(lambda self: not self.straight_through)
    paper = "xie2019"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return soft and straight-through variants."""
        return (cls(0.5), cls(1.0), cls(0.5, straight_through=True))

    def estimate(self, key: jax.Array, distribution: PlackettLuceSubset, f: Objective) -> jax.Array:
        """Return f at the relaxed sample, or at the hard one with the derivative of the relaxed."""
        perturbed = distribution.perturb(key)
        soft = _relaxed(perturbed, distribution.k, jax.lax.stop_gradient(self.temperature))
        if not self.straight_through:
            return f(soft)
        return f(replace_gradient(distribution.largest(perturbed), soft))

    def check(self) -> None:
        """Raise unless the temperature is positive."""
        check_positive("RelaxedTopK temperature", self.temperature)
        check_choice("RelaxedTopK straight_through", self.straight_through, (True, False))


def _relaxed(keys: jax.Array, k: int, temperature: Scalar) -> jax.Array:
    """Return the sum of k softmaxes."""

    def step(keys: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        scaled = keys / temperature
        total = jax.nn.logsumexp(scaled, axis=-1, keepdims=True)
        soft = jnp.exp(scaled - total)
        # Of the largest, 1 - y may round to zero: it is what the others are.
        classes = jnp.arange(keys.shape[-1]).reshape(*[1] * (keys.ndim - 1), -1)
        is_largest = classes == jnp.argmax(keys, -1, keepdims=True)
        others = jnp.where(is_largest, -jnp.inf, scaled)
        left = jax.nn.logsumexp(others, axis=-1, keepdims=True) - total
        less = jnp.log1p(-jnp.where(is_largest, 0, soft))
        return keys + jnp.where(is_largest, left, less), soft

    return jax.lax.scan(step, keys, None, length=k)[1].sum(0)
