"""Independent categorical variables and their relaxation, the Concrete distribution."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from estimators.core.distribution import LARGEST_LOGIT, Discrete, Relaxed
from estimators.core.noise import draw_like, gumbel
from estimators.core.pytree import Scalar, pytree
from estimators.core.validation import (
    check_precision,
    is_concrete,
)
from estimators.distributions.temperature import check_temperature


@pytree
class Categorical(Discrete):
    r"""Independent one-hot categorical variables, $P(D = e_k) = \mathrm{softmax}(\theta)_k$.

    A logit of minus infinity masks its class: the class has probability zero, log-probability minus
    infinity, no contribution to the entropy, is never drawn, and its logit has derivative zero.
    Otherwise the logit acts as -1e9, so relaxations omit the class at temperatures below 1e7. The
    divergence from a distribution that allows the class is infinite.

    Args:
        logits: $\theta$, unnormalised, of shape `[..., K]` (usually `[D, K]`), float32 or float64.
            A sample has the same shape and dtype, one-hot on the last axis.
    """

    logits: jax.Array

    def canonical(self) -> "Categorical":
        """Return the same distribution with finite logits, the largest of each variable 0.

        NaN if all logits of a variable are minus infinity.
        """
        return Categorical(_centred(self.logits))

    @property
    def class_shape(self) -> tuple[int, int]:
        """Number of variables, and of classes."""
        *variables, classes = self.event_shape
        return math.prod(variables), classes

    def noise(self, key: jax.Array) -> jax.Array:
        """Draw Gumbel noise."""
        return draw_like(gumbel, key, self.logits)

    def hard(self, perturbed: jax.Array) -> jax.Array:
        """Return the one-hot vector of the arg max: the Gumbel-max trick."""
        classes = perturbed.shape[-1]
        return jax.nn.one_hot(jnp.argmax(perturbed, -1), classes, dtype=self.dtype)

    def of_classes(self, classes: jax.Array) -> jax.Array:
        """Return the one-hot vectors, in the event's shape."""
        one_hot = jax.nn.one_hot(classes, self.event_shape[-1], dtype=self.dtype)
        return one_hot.reshape(self.event_shape)

    def squash(self, logits: jax.Array) -> jax.Array:
        """Return the softmax over the last axis."""
        return jax.nn.softmax(logits)

    def perturb_given(self, noise: jax.Array, sample: jax.Array) -> jax.Array:
        r"""Return $\theta + G$ given that its arg max is the sample.

        The maximum is a Gumbel variable with location $\log \sum_k e^{\theta_k}$; the others are
        Gumbel variables truncated at it (Maddison et al. 2014; Paulus et al. 2021,
        arXiv:2010.04838).
        """
        logits, log_probs = self.canonical().logits, jax.nn.log_softmax(self.canonical().logits)
        winner = jnp.sum(sample * noise, -1, keepdims=True)
        others = -jnp.logaddexp(-noise - log_probs, -winner)
        shift = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
        maximum = winner + shift
        # Rounding may lift another class to the maximum: keep it one float below.
        step = jnp.finfo(self.dtype).eps * jnp.abs(maximum) + jnp.finfo(self.dtype).tiny
        below = jnp.minimum(others + shift, maximum - jax.lax.stop_gradient(step))
        return jnp.where(sample > 0, maximum, below)

    def log_probs(self, sample: jax.Array) -> jax.Array:
        r"""Return $\sum_k D_k \log p_k$ for each variable, of shape `[..., 1]`."""
        largest = jax.lax.stop_gradient(jnp.max(self.logits, -1, keepdims=True))
        shifted = self.logits - largest
        masked = jnp.isneginf(shifted)  # NaN if no class is left
        total = jax.nn.logsumexp(self.canonical().logits, axis=-1, keepdims=True)
        log_probs = jnp.where(masked, 0, shifted) - total
        # 0 log 0 is zero, with derivative zero.
        nothing = jnp.where(sample > 0, -jnp.inf, 0.0).astype(sample.dtype)
        return jnp.sum(jnp.where(masked, nothing, sample * log_probs), -1, keepdims=True)

    def relax(self, temperature: Scalar) -> "RelaxedCategorical":
        """Return the Concrete distribution at a temperature."""
        return RelaxedCategorical(self.logits, temperature)

    def check(self) -> None:
        """Raise if the logits are not a float array with a last axis of at least two classes.

        If they are concrete, also raise for NaN, plus infinity, or a variable with all classes
        masked.
        """
        _check_logits("Categorical", self.logits)


@pytree
class RelaxedCategorical(Relaxed):
    r"""The Concrete distribution in log-simplex space.

    $x = \log\mathrm{softmax}((\theta + G) / \tau)$ with Gumbel noise G.

    $e^x$ is the Concrete variable on the simplex. The density is that of $x$ (ExpConcrete), finite
    at any temperature.
    Maddison et al. 2017 (arXiv:1611.00712), appendix C; Jang et al. 2017 (arXiv:1611.01144).

    Args:
        logits: $\theta$, of shape `[..., K]`; a sample has the same shape. A masked class (minus
            infinity) is zero on the simplex; the density is that of the other classes.
        temperature: $\tau > 0$, a scalar or an array of shape `[..., 1]`.
    """

    logits: jax.Array
    temperature: Scalar

    def canonical(self) -> "RelaxedCategorical":
        """Return the same distribution with finite logits, the largest of each variable 0.

        NaN if all logits of a variable are minus infinity.
        """
        return RelaxedCategorical(_centred(self.logits), self.temperature)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw $x$, differentiable in the logits and the temperature; `key` is consumed."""
        perturbed = self.canonical().logits + draw_like(gumbel, key, self.logits)
        return jax.nn.log_softmax(perturbed / self.temperature)

    def squash(self, sample: jax.Array) -> jax.Array:
        """Return the variable on the simplex, $e^x$."""
        return jnp.exp(sample)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        r"""Return the log-density of $x$ in nats.

        $\log (K-1)! + (K-1) \log\tau + \sum_k (\theta_k - \tau x_k)
        - K \log \sum_k e^{\theta_k - \tau x_k}$ for each variable, where K counts its unmasked
        classes.
        """
        logits, allowed = self.canonical().logits, self._allowed()
        classes = jnp.sum(allowed, -1, keepdims=True, dtype=self.dtype)
        # The density is invariant to a shift of the gaps, so they need no normalisation.
        gap = jnp.where(allowed, logits - self.temperature * sample, 0)
        total = jax.nn.logsumexp(gap, axis=-1, keepdims=True, where=allowed)
        each = (
            gammaln(classes)
            + (classes - 1) * jnp.log(self.temperature)
            + jnp.sum(jnp.where(allowed, gap - total, 0), -1, keepdims=True)
        )
        return each.sum()

    def log_density(self, squashed: jax.Array) -> jax.Array:
        """Return the log-density of $y = e^x$ in nats, for y inside the simplex."""
        log = jnp.log(jnp.where(self._allowed(), squashed, 1))
        return self.log_prob(log) - log.sum()

    def _allowed(self) -> jax.Array:
        """Return which classes are unmasked, whether or not the logits are canonical."""
        return _centred(self.logits) > -LARGEST_LOGIT / 2

    def check(self) -> None:
        """Raise for wrong dtypes or shapes, or a concrete temperature out of range."""
        _check_logits("RelaxedCategorical", self.logits)
        check_temperature(self, (*self.event_shape[:-1], 1))


def _centred(logits: jax.Array) -> jax.Array:
    largest = jax.lax.stop_gradient(jnp.max(logits, -1, keepdims=True))
    centred = logits - largest
    return jnp.where(centred < -LARGEST_LOGIT, -LARGEST_LOGIT, centred)


def _check_logits(name: str, logits: jax.Array) -> None:
    check_precision(f"{name} logits", logits)
    shape = jnp.shape(logits)
    if len(shape) < 1 or shape[-1] < 2:
        raise ValueError(
            f"{name} logits need a last axis of at least two classes, not shape {shape}"
        )
    if not is_concrete(logits):
        return
    if np.any(np.isnan(logits) | np.isposinf(logits)):
        raise ValueError(
            f"{name} logits must be finite, or -inf for a class of probability zero, not {logits}"
        )
    if np.any(np.all(np.isneginf(logits), -1)):
        raise ValueError(f"{name} logits must allow a class of each variable, not {logits}")
