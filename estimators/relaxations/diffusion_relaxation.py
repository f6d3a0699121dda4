"""A relaxation by a few steps of a denoising diffusion, whose denoiser is known."""

import functools
import math
import zlib
from typing import Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator, fact
from estimators.core.gradients import replace_gradient
from estimators.core.noise import draw_like, normal
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_choice, check_count
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical

# A separate stream: the hard sample uses the key itself, as every estimator's does.
_STREAM = zlib.crc32(b"DiffusionRelaxation")


@pytree
class DiffusionRelaxation(Estimator[Bernoulli | Categorical, Objective]):
    r"""The diffusion relaxation: noise is denoised in n steps to a sample, differentiably.

    Gaussian noise added to one-hot samples, $x_t = \alpha_t D + \sigma_t \epsilon$, has a denoiser
    in closed form, $E[D | x_t] = \mathrm{softmax}(\theta + x_t \alpha_t / \sigma_t^2)$. From
    $x \sim N(0, I)$ at t = 1, each of n steps of equal length to t = 0 sets $x_s = \alpha_s y +
    \frac{\sigma_s}{\sigma_t} (x_t - \alpha_t y)$ with $y = E[D | x_t]$ (DDIM), and the relaxed
    sample is the last y. A bit is one of two classes, the other of which has the logit 0.

    The number of steps plays the part of a temperature: one step gives $y = p$, and more steps give
    harder samples, less bias and more variance. The mean of y is not p in between, so that even a
    linear f has a bias. The tails of the derivative grow fast: from some twenty steps on almost
    every gradient is zero in floating point, and the rest too rare to be drawn.

    With `straight_through`, f is evaluated at a hard sample drawn from the last y, whose law is
    therefore the distribution only approximately, and the derivative is that of y. With one step it
    is `StraightThrough`. After Gourevitch et al. 2026 (arXiv:2601.00781); that the hard sample is
    drawn, rather than the largest entry of y, is our choice.

    Args:
        num_steps: n, at least one.
        schedule: "linear" ($\alpha = 1 - t$, $\sigma = t$) or "cosine" ($\alpha = \cos(\pi t / 2)$,
            $\sigma = \sin(\pi t / 2)$).
        straight_through: whether f is evaluated at hard samples.
    """

    num_steps: int = static()
    schedule: Literal["linear", "cosine"] = static(default="linear")
    straight_through: bool = static(default=False)

    differentiates = True
    relaxes = fact(lambda self: not self.straight_through)
    exact_law = fact(lambda self: self.num_steps == 1)
    paper = "gourevitch2026"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return soft and straight-through variants."""
        return (cls(5), cls(5, straight_through=True), cls(20, "cosine"))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the relaxed sample, or at a hard one with the derivative of the relaxed."""
        noise = draw_like(normal, jax.random.fold_in(key, _STREAM), distribution.logits)
        logits = _denoised(distribution, noise, *_grid(self.num_steps, self.schedule))
        soft = distribution.squash(logits)
        if not self.straight_through:
            return f(soft)
        hard = distribution.with_logits(jax.lax.stop_gradient(logits)).sample(key)
        return f(replace_gradient(hard, soft))

    def check(self) -> None:
        """Raise unless there is at least one step and the schedule is known."""
        check_count("DiffusionRelaxation num_steps", self.num_steps, 1)
        check_choice("DiffusionRelaxation schedule", self.schedule, ("linear", "cosine"))
        check_choice("DiffusionRelaxation straight_through", self.straight_through, (True, False))


def _grid(num_steps: int, schedule: str) -> tuple[np.ndarray, np.ndarray]:
    r"""Return $\alpha$ and $\sigma$ at the times from which the steps start, 1 first."""
    times = np.arange(num_steps, 0, -1) / num_steps
    if schedule == "linear":
        return 1 - times, times
    return np.sin((1 - times) * math.pi / 2), np.sin(times * math.pi / 2)


def _denoised(
    distribution: Discrete, noise: jax.Array, alphas: np.ndarray, sigmas: np.ndarray
) -> jax.Array:
    """Return the logits of the last denoised sample."""
    dtype = distribution.dtype
    levels = jnp.asarray(np.stack([alphas, sigmas], -1), dtype)

    def logits_at(x: jax.Array, level: jax.Array) -> jax.Array:
        return distribution.logits + x * (level[0] / level[1] ** 2)

    def step(x: jax.Array, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        level, (alpha, sigma) = pair
        point = _point(distribution, distribution.squash(logits_at(x, level)))
        return alpha * point + sigma / level[1] * (x - level[0] * point), None

    x, _ = jax.lax.scan(step, _spread(distribution) * noise, (levels[:-1], levels[1:]))
    return logits_at(x, levels[-1])


@functools.singledispatch
def _point(distribution: Discrete, probs: jax.Array) -> jax.Array:
    """Return where probabilities lie in the space of the noise."""
    return probs


@_point.register
def _(distribution: Bernoulli, probs: jax.Array) -> jax.Array:
    return 2 * probs - 1  # of two classes, the difference


def _spread(distribution: Discrete) -> float:
    """Return the standard deviation of the noise: of a difference for bits."""
    return math.sqrt(2) if isinstance(distribution, Bernoulli) else 1.0
