"""The CARMS estimator."""

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.antithetic.copula import repelled_log_uniforms
from estimators.antithetic.orders import nth_order, num_orders, pair_weights
from estimators.core.averages import mean
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient
from estimators.core.noise import logistic, sample_keys, uniform
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.distributions.categorical import Categorical


@pytree
class CARMS(Estimator[Categorical, Objective]):
    r"""CARMS: leave-one-out over n negatively dependent categorical samples, reweighted.

    $\frac{1}{2 n (n-1)} \sum_{i \ne j} r(D_i, D_j) (f_i - f_j) (D_i - D_j)$ per variable, where
    $r(k, l) = p_k p_l / P(D_i = k, D_j = l)$ is the probability of a pair of classes under
    independence divided by its actual probability. Unbiased, since pairs of equal classes do not
    contribute. With independent samples (r = 1) it is `ScoreFunction` with `LeaveOneOut`. Dimitriev
    and Zhou 2021 (arXiv:2110.14002), sampled as in the authors' code:

    negatively dependent uniform numbers from the Dirichlet copula (see `ARMS`) select classes by
    their cumulative probabilities. For each variable the order of the classes is drawn from K (K -
    1) / 2 orders, each with a different pair of classes first and last, so that every pair has
    positive probability. The joint distribution is averaged over all orders, so r is at most their
    number. It is exact up to a few roundings, however rare both classes are. With two samples of
    two classes it is `DisARM`. Besides f, time grows as $n^2 K^2$ and memory as $n^2 K$; more than
    `Discrete.max_states` orders raise ValueError.

    Args:
        num_samples: n, at least two.
    """

    num_samples: int = static()

    unbiased = "yes"
    paper = "dimitriev2021carms"

    def evaluations(self, distribution: Categorical) -> int:
        """One evaluation per sample."""
        return self.num_samples

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with a pair, and with four samples."""
        return (cls(2), cls(4))

    def estimate(self, key: jax.Array, distribution: Categorical, f: Objective) -> jax.Array:
        """Return the mean of f over the samples, with the weighted differences attached."""
        count, shape, dtype = self.num_samples, distribution.event_shape, distribution.dtype
        chance = jax.lax.stop_gradient(distribution.mean).reshape(distribution.class_shape)
        size, classes = chance.shape
        noise = jax.vmap(lambda key: logistic(key, (size,), dtype))(sample_keys(key, count))
        uniforms = jnp.exp(repelled_log_uniforms(noise))
        drawn = uniform(jax.random.fold_in(key, count), (size,), dtype) * num_orders(classes)
        order = nth_order(drawn.astype("int32"), classes)
        ordered = jnp.take_along_axis(chance, order, 1)
        # Upper ends of the classes' intervals; 1 from the last class of positive probability
        # onwards.
        left = jnp.cumsum(ordered[:, ::-1], -1)[:, ::-1][:, 1:]
        ends = jnp.where(left > 0, jnp.cumsum(ordered[:, :-1], -1), 1)
        places = (uniforms[..., None] > ends[None]).sum(-1, dtype="int32")
        found = jnp.take_along_axis(order, places.T, 1).T
        samples = jax.nn.one_hot(found, classes, dtype=dtype)
        values = jax.vmap(f)(samples.reshape(count, *shape))
        first, second = np.triu_indices(count, 1)
        weight = pair_weights(chance, found)
        step = (values[first] - values[second])[:, None] * weight
        gradient = (step[..., None] * (samples[first] - samples[second])).mean(0) / 2
        return attach_gradient(mean(values), distribution.logits, gradient.reshape(shape))

    def unfit(self, distribution: Categorical) -> str | None:
        """Raise if there are too many orders of the classes: K (K - 1) / 2."""
        orders, most = num_orders(distribution.event_shape[-1]), distribution.max_states
        if orders <= most:
            return None
        return f"{distribution.event_shape[-1]:,} classes have {orders:,} orders; at most {most:,}"

    def check(self) -> None:
        """Raise unless there are at least two samples."""
        check_count("CARMS num_samples", self.num_samples, 2)
