"""The exact expectation, by enumeration."""

from typing import Self

import jax
import jax.numpy as jnp

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
    key only passes the common call (and whatever randomness f has). More than `Discrete.max_states`
    states raise ValueError.
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
        states = distribution.states()

        def term(state):
            return jnp.exp(distribution.log_prob(state)) * f(state)

        return evaluate_all(term, states).sum()
