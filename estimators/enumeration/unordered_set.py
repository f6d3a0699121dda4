"""The unordered set estimator."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.averages import weighted_mean
from estimators.core.clocks import nodes, rungs
from estimators.core.distribution import Enumerable
from estimators.core.estimator import Estimator
from estimators.core.objective import Objective
from estimators.core.products import dot
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.plackett_luce_subset import PlackettLuceSubset
from estimators.distributions.subset import Subset
from estimators.enumeration.without_replacement import all_states, attach_scores, draw, too_many


@pytree
class UnorderedSet(Estimator[Bernoulli | Categorical | Subset | PlackettLuceSubset, Objective]):
    r"""The score function over a set S of k distinct states, drawn without replacement.

    $\sum_{s \in S} w_s (f(s) - b_s) \nabla \log q(s)$. The weight $w_s = q(s) R(S, s)$ is the
    probability that s was drawn first, given the set; the built-in baseline is
    $b_s = q(s) f(s) + (1 - q(s)) \sum_{s' \ne s} v_{ss'} f(s')$, where $v_{ss'}$ is the
    probability that s' was drawn second, given the set and that s was first. Unbiased, since the
    average over the order of the set is a Rao-Blackwell step, and $b_s$ is an unbiased estimate of
    E f given that s was first. One state gives the plain score function without a baseline; all
    states give the exact gradient.

    Among exponential clocks with rates q, the one of s rings first with probability

    $w_s \propto \int_0^\infty q(s) e^{-t} \prod_{s' \ne s} (1 - e^{-q(s') t / r}) \, dt$,

    where r is the probability outside S; v is computed likewise, without s. The integrals are
    computed in log t by the trapezoidal rule, which converges exponentially, at nodes set by k and
    the precision.

    Kool et al. 2020 (arXiv:2002.06043). The set is drawn by stochastic beam search
    (arXiv:1903.06059), which allows any number of variables; of subsets, all of which are
    enumerated, by their perturbed log-probabilities.

    Args:
        num_samples: k, at least one. With at most k states, all are taken.
    """

    num_samples: int = static()

    unbiased = "yes"
    paper = "kool2020"

    def evaluations(self, distribution: Enumerable) -> int:
        """One evaluation per state in the set."""
        return min(self.num_samples, distribution.num_states)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with two states, and with four."""
        return (cls(2), cls(4))

    def estimate(self, key: jax.Array, distribution: Enumerable, f: Objective) -> jax.Array:
        """Return the weighted mean of f over the set, with the weighted scores attached."""
        if self.num_samples < distribution.num_states:
            states, log_probs, log_rest = draw(key, distribution, self.num_samples)
        else:
            states, log_probs, log_rest = all_states(distribution)
        first, following, left = order_probabilities(log_probs, log_rest)
        values = jax.vmap(f)(states)
        value = weighted_mean(first, values)
        stopped = jax.lax.stop_gradient(values)
        if len(states) > 1:  # a single state has no baseline to remove constants
            stopped = stopped - jax.lax.stop_gradient(value)
        signal = first * left * (stopped - dot(following, stopped))
        return attach_scores(value, distribution, states, signal)

    def unfit(self, distribution: Enumerable) -> str | None:
        """Raise if the states would not fit into memory."""
        return too_many(distribution, self.num_samples, pairs=True)

    def check(self) -> None:
        """Raise unless there is at least one sample."""
        check_count("UnorderedSet num_samples", self.num_samples, 1)


def order_probabilities(
    log_probs: jax.Array, log_rest: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""Return w `[k]`, v `[k, k]` and $1 - q$ `[k]` of a set of states.

    For a single state v is zero and the last result is one, so there is no baseline.

    Args:
        log_probs: log-probabilities of the states in the set, `[k]`.
        log_rest: the log-probability of all other states.
    """
    count, dtype = len(log_probs), log_probs.dtype
    log_t = jnp.asarray(nodes(count, float(jnp.finfo(dtype).eps)), dtype)[:, None]
    ratio = (log_probs - log_rest)[None]
    rung = rungs(log_t, ratio)
    scale = jnp.maximum(log_probs, log_rest)
    integrand = log_t - jnp.exp(log_t) + rung.sum(-1, keepdims=True)
    inverse = jnp.exp(-rung)

    weights = jax.nn.softmax(integrand, axis=0)
    first = jax.nn.softmax(scale + jnp.log(dot(weights[:, 0], inverse)))
    if count == 1:
        return first, jnp.zeros((1, 1), dtype), jnp.ones(1, dtype)
    itself = jnp.eye(count, dtype=bool)
    weights = jax.nn.softmax(integrand - rung, axis=0)
    log_following = scale[None] + jnp.log(dot(weights.T, inverse))
    following = jax.nn.softmax(jnp.where(itself, -jnp.inf, log_following))
    others = jnp.where(itself, -jnp.inf, log_probs[None])
    left = jnp.exp(jnp.logaddexp(jax.nn.logsumexp(others, axis=-1), log_rest))
    return first, following, left
