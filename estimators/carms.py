"""The CARMS estimator."""

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.averages import mean
from estimators.core.copula import joint_chance, repelled_log_uniforms
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.evaluate import evaluate_all
from estimators.core.gradients import attach_gradient
from estimators.core.noise import logistic, sample_keys, uniform
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.distributions.categorical import Categorical


@pytree
class CARMS(Estimator):
    r"""CARMS: leave-one-out over n categorical samples that avoid each other, reweighted.

    $\frac{1}{2 n (n-1)} \sum_{i \ne j} r(D_i, D_j) (f_i - f_j) (D_i - D_j)$ per variable, where
    $r(k, l) = p_k p_l / P(D_i = k, D_j = l)$ is the weight of a pair of classes that would be
    independent. Unbiased, since pairs of equal classes have no part in it. With independent samples
    (r = 1) it is `ScoreFunction` with `LeaveOneOut`. Dimitriev and Zhou 2021 (arXiv:2110.14002),
    with the samples of the authors' code:

    uniform numbers repelled by the Dirichlet copula (see `ARMS`) are looked up in the classes'
    cumulative probabilities, in an order of the classes drawn for each variable among K (K - 1) / 2
    orders, each pair of classes being the first and the last of one, so that every pair occurs. The
    joint law is over all orders. So r is at most their number, and the weight never explodes. Two
    samples of two classes are `DisARM`. Time grows with $n^2 K^2$ beside that of f, memory with
    $n^2 K$; more than `Discrete.max_states` orders are refused.

    Args:
        num_samples: n, at least two.
    """

    num_samples: int = static()

    distributions = (Categorical,)
    differentiates = False
    paper = "dimitriev2021carms"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One for each sample."""
        del distribution
        return self.num_samples

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A pair, and four samples."""
        return (cls(2), cls(4))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of f over the samples, the weighted differences attached."""
        assert isinstance(distribution, Categorical)
        count, shape, dtype = self.num_samples, distribution.event_shape, distribution.dtype
        chance = jax.lax.stop_gradient(distribution.mean).reshape(distribution.class_shape)
        size, classes = chance.shape
        noise = jax.vmap(lambda key: logistic(key, (size,), dtype))(sample_keys(key, count))
        uniforms = jnp.exp(repelled_log_uniforms(noise))
        drawn = uniform(jax.random.fold_in(key, count), (size,), dtype) * _num_orders(classes)
        order = _order(drawn.astype("int32"), classes)
        ordered = jnp.take_along_axis(chance, order, 1)
        # Where the classes' intervals end, but for the last one's that is not empty.
        left = jnp.cumsum(ordered[:, ::-1], -1)[:, ::-1][:, 1:]
        ends = jnp.where(left > 0, jnp.cumsum(ordered[:, :-1], -1), 1)
        places = (uniforms[..., None] > ends[None]).sum(-1, dtype="int32")
        found = jnp.take_along_axis(order, places.T, 1).T
        samples = jax.nn.one_hot(found, classes, dtype=dtype)
        values = jax.vmap(f)(samples.reshape(count, *shape))
        first, second = np.triu_indices(count, 1)
        weight = _ratio(chance, found[first], found[second], count)
        step = (values[first] - values[second])[:, None] * weight
        gradient = (step[..., None] * (samples[first] - samples[second])).mean(0) / 2
        return attach_gradient(mean(values), distribution.logits, gradient.reshape(shape))

    def refusal(self, distribution: Distribution) -> str | None:
        """Also refuse where there are too many orders: K (K - 1) / 2 of K classes."""
        if reason := super().refusal(distribution):
            return reason
        assert isinstance(distribution, Categorical)
        orders, most = _num_orders(distribution.event_shape[-1]), distribution.max_states
        if orders <= most:
            return None
        return f"{distribution.event_shape[-1]:,} classes have {orders:,} orders; at most {most:,}"

    def check(self) -> None:
        """Raise unless there are two samples or more."""
        check_count("CARMS num_samples", self.num_samples, 2)


def _num_orders(count: int) -> int:
    return count * (count - 1) // 2


def _order(number: jax.Array, count: int) -> jax.Array:
    """Return some of the orders of K classes: `[D, K]` of the numbers `[D]`.

    Each is of a pair of classes a < b, the first and the last of it: a, then in a ring those after
    b up to b, but for a.
    """
    pairs = np.arange(count - 1, 0, -1)  # of a = 0, 1, ... with each larger b
    before = np.append(0, np.cumsum(pairs)).astype("int32")
    number = jnp.minimum(number, before[-1] - 1)
    first = (number[:, None] >= before[None, 1:]).sum(-1, dtype="int32")
    last = count - 1 - (number - jnp.asarray(before)[first])
    # In the ring without a, after a.
    place = (jnp.arange(count - 1, dtype="int32")[None] + (last - first)[:, None]) % (count - 1)
    return jnp.concatenate([first[:, None], (first[:, None] + 1 + place) % count], -1)


def _ratio(chance: jax.Array, one: jax.Array, other: jax.Array, count: int) -> jax.Array:
    """Return `[pairs, D]`: the chance of two classes if independent, over their chance in mean.

    Args:
        chance: `[D, K]`.
        one: classes `[pairs, D]`.
        other: of the other sample.
        count: the number of samples, n.
    """
    classes = chance.shape[1]

    def together(first: jax.Array) -> jax.Array:
        """Return the sum over the orders with one first class: memory is linear in K."""
        ring = jnp.roll(chance, -1 - first, 1)[:, :-1]  # those after the first, `[D, K - 1]`
        own = chance[:, first][:, None]
        ends = jnp.cumsum(ring, -1)
        starts = jnp.pad(ends, ((0, 0), (1, 0)))
        # Where each order begins in the ring; it ends one place before.
        begin = jnp.arange(classes - 1, dtype="int32")[None, None]

        def interval(drawn: jax.Array) -> tuple[jax.Array, jax.Array]:
            is_first = (drawn == first)[..., None]
            place = jnp.minimum((drawn - first - 1) % classes, classes - 2)
            turn = jnp.where(place[..., None] < begin, ends[:, -1:][None], 0) - starts[None, :, :-1]
            low, high = (
                own[None] + jnp.take_along_axis(starts, (place + i).T, 1).T[..., None] + turn
                for i in (0, 1)
            )
            return jnp.where(is_first, 0, low), jnp.where(is_first, own[None], high)

        (low, high), (low_too, high_too) = interval(one), interval(other)
        inside = joint_chance(high, high_too, count) + joint_chance(low, low_too, count)
        outside = joint_chance(high, low_too, count) + joint_chance(low, high_too, count)
        last = (first + jnp.where(begin == 0, classes - 1, begin)) % classes
        return jnp.where(last > first, inside - outside, 0).sum(-1)

    each = evaluate_all(together, jnp.arange(classes - 1, dtype="int32"), (*one.shape, classes))
    joint = each.sum(0) / _num_orders(classes)
    own, its = (jnp.take_along_axis(chance, drawn.T, 1).T for drawn in (one, other))
    apart = own * its
    # As first and last class they meet at least as often as if independent, in one order.
    least = jnp.maximum(apart / _num_orders(classes), jnp.finfo(chance.dtype).tiny)
    return apart / jnp.maximum(joint, least)
