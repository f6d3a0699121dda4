"""The CARMS estimator."""

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.antithetic.copula import repelled_log_uniforms
from estimators.antithetic.orders import nth_order, num_orders, pair_weights
from estimators.core.averages import mean
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
    r"""CARMS: leave-one-out over n negatively dependent categorical samples, reweighted.

    $\frac{1}{2 n (n-1)} \sum_{i \ne j} r(D_i, D_j) (f_i - f_j) (D_i - D_j)$ per variable, where
    $r(k, l) = p_k p_l / P(D_i = k, D_j = l)$ is the weight of a pair of classes that would be
    independent. Unbiased, since pairs of equal classes have no part in it. With independent samples
    (r = 1) it is `ScoreFunction` with `LeaveOneOut`. Dimitriev and Zhou 2021 (arXiv:2110.14002),
    with the samples of the authors' code:

    uniform numbers repelled by the Dirichlet copula (see `ARMS`) are looked up in the classes'
    cumulative probabilities, in an order of the classes drawn for each variable among K (K - 1) / 2
    orders, each pair of classes being the first and the last of one, so that every pair occurs. The
    joint law is over all orders. So r is at most their number, and the weight never explodes; in
    any precision it is right to some roundings, however rare both classes are. Two samples of two
    classes are `DisARM`. Time grows with $n^2 K^2$ beside that of f, memory with $n^2 K$; more than
    `Discrete.max_states` orders are refused.

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
        drawn = uniform(jax.random.fold_in(key, count), (size,), dtype) * num_orders(classes)
        order = nth_order(drawn.astype("int32"), classes)
        ordered = jnp.take_along_axis(chance, order, 1)
        # Where the classes' intervals end, but for the last one's that is not empty.
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

    def refusal(self, distribution: Distribution) -> str | None:
        """Also refuse where there are too many orders: K (K - 1) / 2 of K classes."""
        if reason := super().refusal(distribution):
            return reason
        assert isinstance(distribution, Categorical)
        orders, most = num_orders(distribution.event_shape[-1]), distribution.max_states
        if orders <= most:
            return None
        return f"{distribution.event_shape[-1]:,} classes have {orders:,} orders; at most {most:,}"

    def check(self) -> None:
        """Raise unless there are two samples or more."""
        check_count("CARMS num_samples", self.num_samples, 2)
