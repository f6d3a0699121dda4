"""The CARMS estimator."""

from collections.abc import Callable
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.copula import joint_chance, repelled_log_uniforms
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
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
    samples of two classes are `DisARM`. Cost grows with $n^2 K^2$ beside that of f.

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
        chance = jax.lax.stop_gradient(distribution.mean).reshape(-1, shape[-1])
        size, orders = len(chance), _orders(shape[-1])
        noise = jax.vmap(lambda key: logistic(key, (size,), dtype))(sample_keys(key, count))
        uniforms = jnp.exp(repelled_log_uniforms(noise))
        drawn = uniform(jax.random.fold_in(key, count), (size,), dtype) * len(orders)
        order = jnp.minimum(drawn.astype(int), len(orders) - 1)
        # Where the classes' intervals end, in every order: [D, orders, K - 1].
        ends = jnp.cumsum(chance[:, orders[:, :-1]], -1)
        own = jnp.take_along_axis(ends, order[:, None, None], 1)[:, 0]
        places = (uniforms[..., None] > own[None]).sum(-1)
        classes = jnp.asarray(orders)[order[None], places]
        samples = jax.nn.one_hot(classes, shape[-1], dtype=dtype)
        values = jax.vmap(f)(samples.reshape(count, *shape))
        first, second = np.triu_indices(count, 1)
        ratio = _ratio(chance, ends, orders, count)
        weight = jax.vmap(ratio)(classes[first], classes[second])
        step = (values[first] - values[second])[:, None] * weight
        gradient = (step[..., None] * (samples[first] - samples[second])).mean(0) / 2
        return attach_gradient(values.mean(), distribution.logits, gradient.reshape(shape))

    def check(self) -> None:
        """Raise unless there are two samples or more."""
        check_count("CARMS num_samples", self.num_samples, 2)


def _orders(count: int) -> np.ndarray:
    """Return K (K - 1) / 2 orders of K classes `[orders, K]`: each pair is once first and last."""
    found = []
    for first in range(count):
        rest = (first + 1 + np.arange(count - 1)) % count
        rolled = [np.roll(rest, shift) for shift in range(count - 1)]
        found += [np.append(first, order) for order in rolled if first < order[-1]]
    return np.stack(found)


def _ratio(
    chance: jax.Array, ends: jax.Array, orders: np.ndarray, count: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the weight of classes `[D]` and `[D]`: their chance if independent, over theirs."""
    edges = jnp.pad(ends, ((0, 0), (0, 0), (1, 0)))
    edges = jnp.pad(edges, ((0, 0), (0, 0), (0, 1)), constant_values=1)
    places = np.argsort(orders, -1)

    def interval(classes: jax.Array) -> tuple[jax.Array, jax.Array]:
        place = jnp.asarray(places.T)[classes][..., None]
        low, high = (jnp.take_along_axis(edges, place + i, -1)[..., 0] for i in (0, 1))
        return low, high

    def ratio(first: jax.Array, second: jax.Array) -> jax.Array:
        (low, high), (low_too, high_too) = interval(first), interval(second)
        inside = joint_chance(high, high_too, count) + joint_chance(low, low_too, count)
        outside = joint_chance(high, low_too, count) + joint_chance(low, high_too, count)
        own, other = (jnp.take_along_axis(chance, c[:, None], 1)[:, 0] for c in (first, second))
        apart = own * other
        # As first and last class they meet at least as often as if independent, in one order.
        least = jnp.maximum(apart / len(orders), jnp.finfo(chance.dtype).tiny)
        return apart / jnp.maximum((inside - outside).mean(-1), least)

    return ratio
