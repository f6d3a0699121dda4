"""The exact expectation, by enumeration."""

import jax
import jax.numpy as jnp

from estimators.core.averages import weighted_mean
from estimators.core.distribution import Enumerable
from estimators.core.estimator import Estimator
from estimators.core.evaluate import evaluate_all
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.autoregressive import Autoregressive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.chain import Chain
from estimators.distributions.plackett_luce_subset import PlackettLuceSubset
from estimators.distributions.poisson import Poisson
from estimators.distributions.subset import Subset


@pytree
class Exact(
    Estimator[
        Bernoulli | Categorical | Chain | Autoregressive | Poisson | Subset | PlackettLuceSubset,
        Objective,
    ]
):
    r"""The expectation itself: $\sum_z q(z) f(z)$ over every state z.

    The reference in tests and figures. Deterministic apart from f, and correct in derivatives of
    every order; the key is unused. The value of f at a state of probability zero is ignored; its
    derivatives there must be finite. More than `Discrete.max_states` states raise ValueError. The
    sum over counts is truncated, at most a millionth of their probability being left out: see
    `Poisson.tail_bounds`.
    """

    unbiased = "yes"
    enumerates = True

    def evaluations(self, distribution: Enumerable | Chain) -> int:
        """One evaluation per state."""
        return distribution.num_states

    def estimate(self, key: jax.Array, distribution: Enumerable | Chain, f: Objective) -> jax.Array:
        """Return the sum over all states."""

        def term(index: jax.Array) -> tuple[jax.Array, jax.Array]:
            state = distribution.state(index)
            chance = jnp.exp(distribution.log_prob(state))
            # f is called at every state, even of probability zero, so that under vmap over
            # distributions anything f computes from the state alone is shared.
            return chance, jnp.where(chance > 0, f(state), 0)

        indices = jnp.arange(distribution.num_states, dtype="int32")
        return weighted_mean(*evaluate_all(term, indices, distribution.event_shape))
