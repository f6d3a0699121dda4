"""The RODEO estimator."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Self

import jax
import jax.numpy as jnp

from estimators.control_variates.learning import attach_learning
from estimators.core.averages import differences, mean, mean_of_others
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator
from estimators.core.gradients import value_and_slope
from estimators.core.noise import normal, sample_keys
from estimators.core.objective import Objective
from estimators.core.products import dot
from estimators.core.pytree import learned, pytree, static
from estimators.core.tuning import Tuning
from estimators.core.validation import check_count
from estimators.distributions.bernoulli import Bernoulli


@pytree
class RODEO(Estimator[Bernoulli, Objective]):
    r"""RODEO: leave-one-out with control variates from a discrete Stein operator.

    With $x^{(i)}$ denoting x with bit i flipped,

    $$(A h)(x) = \frac{1}{D} \sum_i q(x^{(i)}_i) (h(x^{(i)}) - h(x))$$

    has mean zero under q for every h, since each term is a step of a Gibbs sampler, which leaves q
    invariant. The gradient is

    $$\frac1n \sum_k \Big(f_k - \frac{1}{n-1} \sum_{j \ne k} (f_j + (A h_j)(x_j))\Big)
    \nabla \log q(x_k) + (A \tilde h_k)(x_k).$$

    $h_k$ and $\tilde h_k = H_2 \nabla \log q$ depend only on f and f' at the other samples: they
    are means over $j \ne k$ of the two outputs $H_1, H_2$ of a network with inputs $f_j$ and $f'_j
    \cdot (x - x_j)$, the linear prediction of f(x) minus $f_j$. So it is unbiased for every
    network, and evaluates f at the n samples only. The network is learned by gradient descent on
    the squared gradient; its output weights start at zero, where it is `ScoreFunction` with
    `LeaveOneOut`. Shi et al. 2022 (arXiv:2202.09497); mean, operator and inputs as in the authors'
    code.

    Args:
        num_samples: n, at least two.
        hidden: number of hidden units: leaky rectifiers, since the scale of f is arbitrary.
        layers: learned weights of the network, made by `initialise`.
    """

    num_samples: int = static()
    hidden: int = static(default=100)
    layers: Mapping[str, jax.Array] | None = learned(default=None)

    unbiased = "yes"
    differentiates = True
    tuning = Tuning(1e-3, is_relative=False)
    paper = "shi2022"

    def evaluations(self, distribution: Bernoulli) -> int:
        """One evaluation per sample."""
        return self.num_samples

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return one variant, with two samples."""
        return (cls(2),)

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Return a copy with an initialised network; `key` is consumed."""
        dtype = distribution.dtype
        scale = math.sqrt(2 / (1 + self.hidden))
        layers = {
            "weight": scale * normal(key, (2, self.hidden), dtype),
            "bias": jnp.zeros(self.hidden, dtype),
            "out": jnp.zeros((self.hidden, 2), dtype),
            "out_bias": jnp.zeros(2, dtype),
        }
        return dataclasses.replace(self, layers=layers)

    def estimate(self, key: jax.Array, distribution: Bernoulli, f: Objective) -> jax.Array:
        """Return the mean of f over the samples, with the controlled differences attached."""
        count, shape = self.num_samples, distribution.event_shape
        samples = jax.vmap(distribution.sample)(sample_keys(key, count))
        values, slopes = jax.vmap(value_and_slope(f))(samples)
        points, stopped, slopes, centre = jax.lax.stop_gradient(
            (samples.reshape(count, -1), values, slopes.reshape(count, -1), distribution.mean)
        )
        steps = differences(stopped)
        score = points - centre.reshape(1, -1)
        step = 1 - 2 * points
        # Probability of the bit's opposite value.
        rate = abs(score)

        def gradient(estimator: "RODEO") -> Bernoulli:
            control, more = jnp.zeros_like(stopped), jnp.zeros_like(score)
            for shift in range(1, count):
                value, slope, other = (jnp.roll(x, shift, 0) for x in (stopped, slopes, points))
                here = (slope * (points - other)).sum(1)
                flipped = here[:, None] + slope * step
                at_here = estimator._network(value, here)
                at_flipped = jax.vmap(estimator._network, (None, 1), 1)(value, flipped)
                change = jnp.einsum(
                    "kd,kdo->ko", rate, at_flipped - at_here[:, None], precision="highest"
                )
                control += change[:, 0]
                # The scores at a point and at its flipped neighbour differ in this bit only.
                more += change[:, 1:] * score + rate * step * at_flipped[..., 1]
            terms = (count - 1) * points.shape[1]
            control, more = control / terms, more / terms
            signal = steps - mean_of_others(steps + control)
            found = (signal[:, None] * score + more).mean(0)
            return Bernoulli(found.reshape(shape))

        return attach_learning(mean(values), distribution, self, gradient)

    def _network(self, value: jax.Array, linear: jax.Array) -> jax.Array:
        """Return the outputs `[n, 2]` for `[n]` values of f and `[n]` linear predictions."""
        layers = self.layers
        if layers is None:
            raise ValueError(
                "RODEO has no weights yet: call estimator.initialise(key, distribution) first"
            )
        inputs = jnp.stack([linear, value], -1)
        hidden = jax.nn.leaky_relu(dot(inputs, layers["weight"]) + layers["bias"][None], 0.3)
        return dot(hidden, layers["out"]) + layers["out_bias"][None]

    def check(self) -> None:
        """Raise unless there are at least two samples, a hidden unit and a single network."""
        check_count("RODEO num_samples", self.num_samples, 2)
        check_count("RODEO hidden", self.hidden, 1)
        stack = jnp.shape(self.layers["out_bias"])[:-1] if self.layers else ()
        if stack:
            raise ValueError(
                f"RODEO has networks of shape {stack}: map over a stack of estimators with jax.vmap"
            )
