"""The exact expectation, by enumeration."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.averages import weighted_mean
from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.evaluate import evaluate_all
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.chain import Chain


@pytree
class Exact(Estimator):
    r"""The expectation itself: $\sum_z q(z) f(z)$ over every state z.

    The oracle of every test and the zero line of every figure. No randomness, every derivative. The
    key only passes the common call (and whatever randomness f has). At a state of probability zero
    the value of f is left out, whatever it is; its derivatives there must be finite. More than
    `Discrete.max_states` states raise ValueError.
    """

    distributions = (Bernoulli, Categorical, Chain)
    differentiates = False
    enumerates = True
    paper = ""

    @property
    def unbiased(self) -> Unbiased:
        """It is the truth."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One for each state."""
        assert isinstance(distribution, Discrete | Chain)
        return distribution.num_states

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The one there is."""
        return (cls(),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the sum over all states."""
        del key
        assert isinstance(distribution, Discrete | Chain)

        def term(index):
            state = distribution.state(index)
            chance = jnp.exp(distribution.log_prob(state))
            # Called at the state whatever its chance: where distributions are mapped over, the
            # states are the same for all, and so is what f computes of them alone.
            return chance, jnp.where(chance > 0, f(state), 0)

        indices = jnp.arange(distribution.num_states, dtype="int32")
        return weighted_mean(*evaluate_all(term, indices, distribution.event_shape))
