"""States of a discrete distribution without replacement: the most probable ones, or drawn ones.

Both are a beam search over the variables. They are independent, so a beam as wide as the number of
states that are wanted loses none of them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators.core.distribution import LARGEST_LOGIT, Discrete
from estimators.core.noise import sample_keys

_NUMBERS = 2**28
"""In float32, 1 GiB."""


class States(NamedTuple):
    """Distinct states and what they weigh, all of them stopped."""

    states: jax.Array
    """`[n, *event]`."""
    log_probs: jax.Array
    """`[n]`, in nats."""
    log_rest: jax.Array
    """The log-probability of all other states together, precise even where it is tiny."""


def too_many(distribution: Discrete, count: int, pairs: bool = False) -> str | None:
    """Return how many numbers the states take where they are too many to hold, else None.

    Args:
        distribution: of any number of states.
        count: how many states are wanted; no more than there are.
        pairs: whether a number is held for each pair of them too.
    """
    count = min(count, distribution.num_states)
    numbers = count * (math.prod(distribution.event_shape) + (count if pairs else 0))
    if numbers <= _NUMBERS:
        return None
    return (
        f"{count:,} states of event shape {distribution.event_shape} take {numbers:,} numbers; "
        f"at most {_NUMBERS:,}"
    )


def all_states(distribution: Discrete) -> States:
    """Return every state."""
    distribution = jax.lax.stop_gradient(distribution)
    states = distribution.states()
    log_probs = jax.vmap(distribution.log_prob)(states)
    return _possible(states, log_probs, jnp.full_like(log_probs[0], -jnp.inf))


def most_probable(distribution: Discrete, count: int) -> States:
    """Return the most probable states, in falling order; of equals, any, but always the same.

    Args:
        distribution: of any number of states.
        count: how many: at least one, and fewer than there are.
    """
    log_probs = jax.lax.stop_gradient(distribution).class_log_probs()
    nothing = jnp.zeros((count, *log_probs.shape), log_probs.dtype)
    return _search(distribution, nothing, lambda ranks, log_probs, nothing: log_probs)


def draw(key: jax.Array, distribution: Discrete, count: int) -> States:
    r"""Draw distinct states one after the other, each from what those before it have left.

    Stochastic beam search (Kool et al. 2019, arXiv:1903.06059). The states with the largest
    Gumbel-perturbed log-probabilities, drawn top down: that of a prefix is the maximum of those of
    its continuations, which are drawn given that maximum. The first state is
    `distribution.sample(key)`.

    Args:
        key: consumed; the beam's first prefix takes its noise, the others fold in their number.
        distribution: of any number of states.
        count: how many: at least one, and fewer than there are.
    """
    stopped = jax.lax.stop_gradient(distribution)
    noise = jax.vmap(stopped.noise)(sample_keys(key, count))

    def perturbed(ranks, log_probs, log_excess):
        # Impossible prefixes fill the beam at first: nothing follows from them.
        possible = ranks > -jnp.inf
        log_excess = log_excess - jnp.where(possible, log_probs, 0)
        continued = -jnp.logaddexp(jnp.where(possible, -ranks, 0), log_excess)
        return jnp.where(possible, continued, ranks)

    return _search(distribution, jax.vmap(stopped.log_excess)(noise), perturbed)


def _search(distribution: Discrete, given: jax.Array, rank: Callable[..., jax.Array]) -> States:
    """Search with a beam as wide as `given`.

    Args:
        distribution: of any number of states.
        given: `[width, variables, classes]`, extra input of `rank`.
        rank: from the ranks of prefixes `[width, 1]`, and from the log-probabilities of their
            continuations and what is given `[width, classes]`, to the continuations' ranks.
    """
    distribution = jax.lax.stop_gradient(distribution)
    log_probs = distribution.class_log_probs()
    width, variables, num_classes = given.shape
    # One empty prefix. The others are impossible, until there are enough.
    empty = jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf).astype(log_probs.dtype)
    nothing = jnp.asarray(-jnp.inf, log_probs.dtype)
    start = jnp.zeros((width, variables), jnp.int32), empty, empty, nothing

    def extend(beam, variable):
        classes, prefix_log_probs, ranks, log_rest = beam
        number, log_probs, given = variable
        longer = prefix_log_probs[:, None] + log_probs[None]
        ranks, kept = jax.lax.top_k(rank(ranks[:, None], longer, given).ravel(), width)
        longer = longer.ravel()
        classes = classes[kept // num_classes].at[:, number].set(kept % num_classes)
        # A prefix that is dropped takes all its states with it, so their sum needs no difference.
        dropped = jax.nn.logsumexp(longer.at[kept].set(-jnp.inf))
        return (classes, longer[kept], ranks, jnp.logaddexp(log_rest, dropped)), None

    steps = jnp.arange(variables), log_probs, jnp.moveaxis(given, 1, 0)
    # Its first step is taken outside: under jax.shard_map, what a scan starts from must vary over
    # devices where what it carries does.
    beam, _ = extend(start, jax.tree.map(lambda step: step[0], steps))
    rest = jax.tree.map(lambda step: step[1:], steps)
    (classes, log_probs, _, log_rest), _ = jax.lax.scan(extend, beam, rest)
    return _possible(jax.vmap(distribution.of_classes)(classes), log_probs, log_rest)


def _possible(states: jax.Array, log_probs: jax.Array, log_rest: jax.Array) -> States:
    """Return them with one of the states in the place of those that hold a masked class.

    These weigh nothing, and f need not have a value there.
    """
    masked = (log_probs < -LARGEST_LOGIT / 2).reshape(-1, *[1] * (states.ndim - 1))
    states = jnp.where(masked, states[jnp.argmax(log_probs)][None], states)
    return States(states, log_probs, log_rest)
