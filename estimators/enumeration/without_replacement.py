"""Distinct states of a discrete distribution: the most probable, or a draw without replacement.

Both use beam search over the variables. These are independent, so a beam as wide as the requested
number of states is exact. Of other distributions every state is enumerated.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators.core.distribution import LARGEST_LOGIT, Discrete, Enumerable
from estimators.core.gradients import attach_gradient
from estimators.core.noise import draw_like, gumbel, sample_keys
from estimators.core.products import vdot
from estimators.enumeration.classes import class_log_probs
from estimators.enumeration.excess import log_excess

_NUMBERS = 2**28
"""Maximum number of array elements of the states: 1 GiB in float32."""


_Beam = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""Classes, log-probabilities and ranks of the prefixes, and the dropped log-probability."""


class States(NamedTuple):
    """Distinct states and their probabilities, all stopped."""

    states: jax.Array
    """`[n, *event]`."""
    log_probs: jax.Array
    """`[n]`, in nats."""
    log_rest: jax.Array
    """The log-probability of all other states together, to full relative precision."""


def too_many(distribution: Enumerable, count: int, pairs: bool = False) -> str | None:
    """Return why the states would take too much memory, or None if they would not.

    Args:
        distribution: a distribution with any number of states.
        count: number of states requested, capped at the total number of states.
        pairs: whether a number is also stored for each pair of states.
    """
    count = stored = min(count, distribution.num_states)
    if not isinstance(distribution, Discrete):
        if reason := distribution.too_large():
            return reason
        stored = distribution.num_states
    numbers = stored * math.prod(distribution.event_shape) + (count**2 if pairs else 0)
    if numbers <= _NUMBERS:
        return None
    return (
        f"{stored:,} states of event shape {distribution.event_shape} take {numbers:,} numbers; "
        f"at most {_NUMBERS:,}"
    )


def all_states(distribution: Enumerable) -> States:
    """Return every state."""
    distribution = jax.lax.stop_gradient(distribution)
    states = distribution.states()
    log_probs = jax.vmap(distribution.log_prob)(states)
    return _possible(states, log_probs, jnp.full_like(log_probs[0], -jnp.inf))


def most_probable(distribution: Enumerable, count: int) -> States:
    """Return the most probable states in descending order; ties are broken deterministically.

    Args:
        distribution: a distribution with any number of states.
        count: number of states requested: at least one, and fewer than exist.
    """
    if not isinstance(distribution, Discrete):
        states = all_states(distribution)
        return _largest(states, states.log_probs, count)
    log_probs = class_log_probs(jax.lax.stop_gradient(distribution))
    nothing = jnp.zeros((count, *log_probs.shape), log_probs.dtype)
    return _search(distribution, nothing, lambda ranks, log_probs, given: log_probs)


def draw(key: jax.Array, distribution: Enumerable, count: int) -> States:
    r"""Draw states sequentially without replacement.

    Stochastic beam search (Kool et al. 2019, arXiv:1903.06059) finds the states with the largest
    Gumbel-perturbed log-probabilities top down: a prefix's value is the maximum over its
    continuations, which are drawn given it. The first state is `distribution.sample(key)`. If the
    variables are not independent, every state is perturbed instead, and the first is another one.

    Args:
        key: consumed; the first prefix of the beam takes its noise, the others fold in their index.
        distribution: a distribution with any number of states.
        count: number of states requested: at least one, and fewer than exist.
    """
    if not isinstance(distribution, Discrete):
        states = all_states(distribution)
        noise = draw_like(gumbel, key, states.log_probs)
        return _largest(states, states.log_probs + noise, count)
    stopped = jax.lax.stop_gradient(distribution)
    noise = jax.vmap(stopped.noise)(sample_keys(key, count))

    def perturbed(ranks: jax.Array, log_probs: jax.Array, excess: jax.Array) -> jax.Array:
        # The beam is initially filled with impossible prefixes, which have no continuations.
        possible = ranks > -jnp.inf
        excess = excess - jnp.where(possible, log_probs, 0)
        continued = -jnp.logaddexp(jnp.where(possible, -ranks, 0), excess)
        return jnp.where(possible, continued, ranks)

    return _search(distribution, jax.vmap(functools.partial(log_excess, stopped))(noise), perturbed)


def _largest(states: States, ranks: jax.Array, count: int) -> States:
    """Return the states of the largest ranks, in descending order."""
    _, kept = jax.lax.top_k(ranks, count)
    log_rest = jax.nn.logsumexp(states.log_probs.at[kept].set(-jnp.inf))
    return States(states.states[kept], states.log_probs[kept], log_rest)


def _search(
    distribution: Discrete,
    given: jax.Array,
    rank: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
) -> States:
    """Search with a beam as wide as `given`.

    Args:
        distribution: a distribution with any number of states.
        given: extra input of `rank`, `[width, variables, classes]`.
        rank: maps the ranks of prefixes `[width, 1]`, the log-probabilities of their continuations
            `[width, classes]` and extra input `[width, classes]` to the continuations' ranks.
    """
    distribution = jax.lax.stop_gradient(distribution)
    log_probs = class_log_probs(distribution)
    width, variables, num_classes = given.shape
    # One empty prefix; the other rows are impossible until there are enough prefixes.
    empty = jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf).astype(log_probs.dtype)
    nothing = jnp.asarray(-jnp.inf, log_probs.dtype)
    start = jnp.zeros((width, variables), jnp.int32), empty, empty, nothing

    def extend(beam: _Beam, variable: tuple[jax.Array, ...]) -> tuple[_Beam, None]:
        classes, prefix_log_probs, ranks, log_rest = beam
        number, log_probs, given = variable
        longer = prefix_log_probs[:, None] + log_probs[None]
        ranks, kept = jax.lax.top_k(rank(ranks[:, None], longer, given).ravel(), width)
        longer = longer.ravel()
        classes = classes[kept // num_classes].at[:, number].set(kept % num_classes)
        # Dropping a prefix drops all its states, so log_rest needs no subtraction.
        dropped = jax.nn.logsumexp(longer.at[kept].set(-jnp.inf))
        return (classes, longer[kept], ranks, jnp.logaddexp(log_rest, dropped)), None

    steps = jnp.arange(variables), log_probs, jnp.moveaxis(given, 1, 0)
    # The first step is outside the scan, since under jax.shard_map the initial carry must vary over
    # the same devices as later ones.
    beam, _ = extend(start, jax.tree.map(lambda step: step[0], steps))
    rest = jax.tree.map(lambda step: step[1:], steps)
    (classes, log_probs, _, log_rest), _ = jax.lax.scan(extend, beam, rest)
    return _possible(jax.vmap(distribution.of_classes)(classes), log_probs, log_rest)


def _possible(states: jax.Array, log_probs: jax.Array, log_rest: jax.Array) -> States:
    """Return the states, those with a masked class replaced by the most probable state.

    Their weight is zero, and f need not be defined there.
    """
    masked = (log_probs < -LARGEST_LOGIT / 2).reshape(-1, *[1] * (states.ndim - 1))
    states = jnp.where(masked, states[jnp.argmax(log_probs)][None], states)
    return States(states, log_probs, log_rest)


def attach_scores(
    value: jax.Array, at: Enumerable, samples: jax.Array, signal: jax.Array
) -> jax.Array:
    r"""Return `value`, with $\sum_i \mathrm{signal}_i \nabla \log q(z_i)$ attached at q.

    Args:
        value: a scalar.
        at: q.
        samples: $z_i$, `[n, *event]`.
        signal: `[n]`, stopped.
    """

    def weighted(distribution: Enumerable) -> jax.Array:
        return vdot(signal, jax.vmap(distribution.log_prob)(samples))

    return attach_gradient(value, at, jax.grad(weighted)(at))
