"""The sum-and-sample estimator."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.averages import weighted_mean
from estimators.core.distribution import Enumerable
from estimators.core.estimator import Estimator
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.plackett_luce_subset import PlackettLuceSubset
from estimators.distributions.subset import Subset
from estimators.enumeration.without_replacement import (
    all_states,
    attach_scores,
    draw,
    most_probable,
    too_many,
)


@pytree
class SumAndSample(Estimator[Bernoulli | Categorical | Subset | PlackettLuceSubset, Objective]):
    r"""An exact sum over the k - 1 most probable states, and one sample from the rest.

    $\sum_{s \in C} q(s) f(s) \nabla \log q(s) + r f(z) \nabla \log q(z)$, where C are the most
    probable states, r is the probability of the others and z is drawn from these. Unbiased, since C
    depends on the parameters alone; the score function for k = 1, exact if k is the number of
    states. The score is that of q, not of the renormalised rest: $r \nabla \log q(z)$ has the mean
    $\sum_{s \notin C} \nabla q(s)$. Without a baseline, as published, so adding a constant to f
    adds variance.

    Liu et al. 2019 (arXiv:1810.04777), with plain REINFORCE on the rest; Kool et al. 2020
    (arXiv:2002.06043) draw C instead. Beam search allows any number of variables: z is the
    first state of a stochastic beam search (arXiv:1903.06059) that is not in C. Of subsets, all
    states are enumerated, as by `Exact`, but f is evaluated at k of them only.

    Args:
        num_samples: k, at least one. With at most k states, all are summed.
    """

    num_samples: int = static()

    unbiased = "yes"
    paper = "liu2019"

    def evaluations(self, distribution: Enumerable) -> int:
        """One evaluation per state in the sum, and one for the sample."""
        return min(self.num_samples, distribution.num_states)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with one state and a sample, and with three states and a sample."""
        return (cls(2), cls(4))

    def estimate(self, key: jax.Array, distribution: Enumerable, f: Objective) -> jax.Array:
        """Return the weighted sum of f, with the weighted scores attached."""
        states, weights = self._choose(key, distribution)
        values = jax.vmap(f)(states)
        value = weighted_mean(weights, values)
        signal = jax.lax.stop_gradient(values)
        if self.num_samples >= distribution.num_states:  # exact, so that constants cancel
            signal = signal - jax.lax.stop_gradient(value)
        return attach_scores(value, distribution, states, weights * signal)

    def _choose(self, key: jax.Array, distribution: Enumerable) -> tuple[jax.Array, jax.Array]:
        """Return the states and their weights."""
        if self.num_samples >= distribution.num_states:
            states, log_probs, _ = all_states(distribution)
            return states, jnp.exp(log_probs)
        if self.num_samples == 1:
            return distribution.sample(key)[None], jnp.ones(1, distribution.dtype)
        top, log_probs, log_rest = most_probable(distribution, self.num_samples - 1)
        # One more state than in the sum, so that at least one is outside it.
        drawn = draw(key, distribution, self.num_samples).states
        same = (drawn[:, None] == top[None]).reshape(len(drawn), len(top), -1).all(-1)
        sample = drawn[jnp.argmin(same.any(-1))]
        states = jnp.concatenate([top, sample[None]])
        return states, jnp.exp(jnp.concatenate([log_probs, log_rest[None]]))

    def unfit(self, distribution: Enumerable) -> str | None:
        """Raise if the states would not fit into memory."""
        return too_many(distribution, self.num_samples)

    def check(self) -> None:
        """Raise unless there is at least one sample."""
        check_count("SumAndSample num_samples", self.num_samples, 1)
