"""The sum-and-sample estimator."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.averages import weighted_mean
from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_scores
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.enumeration.without_replacement import all_states, draw, most_probable, too_many


@pytree
class SumAndSample(Estimator):
    r"""The k - 1 most probable states summed exactly, and one sample from the rest.

    $\sum_{s \in C} q(s) f(s) \nabla \log q(s) + r f(z) \nabla \log q(z)$, where C holds the most
    probable states, r is the probability of the others and z is drawn from these. Unbiased, since C
    depends on the parameters alone; the score function for k = 1, exact where k is the number of
    states. The score of z is that of q itself: $r \nabla \log q(z)$ has the mean
    $\sum_{s \notin C} \nabla q(s)$. Without a baseline, as published, so a constant added to f adds
    variance.

    Liu et al. 2019 (arXiv:1810.04777), with plain REINFORCE on the rest; Kool et al. 2020
    (arXiv:2002.06043) draw C instead. Found by beam search, so there may be any number of
    variables: z is the first state of a stochastic beam search (arXiv:1903.06059) that is not in C.

    Args:
        num_samples: k, at least one. Where there are no more states than that, all are summed.
    """

    num_samples: int = static()

    distributions = (Bernoulli, Categorical)
    differentiates = False
    paper = "liu2019"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One for each state that is summed, and one for the sample."""
        assert isinstance(distribution, Discrete)
        return min(self.num_samples, distribution.num_states)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """One state and a sample, and three and a sample."""
        return (cls(2), cls(4))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the weighted sum of f, with the weighted scores attached."""
        assert isinstance(distribution, Discrete)
        states, weights = self._choose(key, distribution)
        values = jax.vmap(f)(states)
        value = weighted_mean(weights, values)
        signal = jax.lax.stop_gradient(values)
        if self.num_samples >= distribution.num_states:  # exact, and a constant takes no part
            signal = signal - jax.lax.stop_gradient(value)
        return attach_scores(value, distribution, states, weights * signal)

    def _choose(self, key: jax.Array, distribution: Discrete) -> tuple[jax.Array, jax.Array]:
        """Return the states and their weights."""
        if self.num_samples >= distribution.num_states:
            states, log_probs, _ = all_states(distribution)
            return states, jnp.exp(log_probs)
        if self.num_samples == 1:
            return distribution.sample(key)[None], jnp.ones(1, distribution.dtype)
        top, log_probs, log_rest = most_probable(distribution, self.num_samples - 1)
        # One state more than are summed, so that one of them at least is not.
        drawn = draw(key, distribution, self.num_samples).states
        same = (drawn[:, None] == top[None]).reshape(len(drawn), len(top), -1).all(-1)
        sample = drawn[jnp.argmin(same.any(-1))]
        states = jnp.concatenate([top, sample[None]])
        return states, jnp.exp(jnp.concatenate([log_probs, log_rest[None]]))

    def refusal(self, distribution: Distribution) -> str | None:
        """Also refuse where the states would not fit into memory."""
        if reason := super().refusal(distribution):
            return reason
        assert isinstance(distribution, Discrete)
        return too_many(distribution, self.num_samples)

    def check(self) -> None:
        """Raise unless there is at least one sample."""
        check_count("SumAndSample num_samples", self.num_samples, 1)
