"""Independent Bernoulli variables and their relaxation, the binary Concrete distribution."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.distribution import LARGEST_LOGIT, Discrete, Relaxed
from estimators.core.noise import draw_like, logistic
from estimators.core.pytree import Scalar, pytree
from estimators.core.validation import (
    check_floating,
    check_positive,
    check_precision,
    is_concrete,
)


@pytree
class Bernoulli(Discrete):
    r"""Independent Bernoulli variables, $P(b_i = 1) = \sigma(\phi_i)$.

    Args:
        logits: $\phi$, of any shape (usually `[D]`), float32 or float64; +-infinity fixes a bit.
            A sample has the same shape and dtype, and consists of zeros and ones.
    """

    logits: jax.Array

    def canonical(self) -> "Bernoulli":
        """Return the same bits with finite logits."""
        return Bernoulli(_finite(self.logits))

    @property
    def class_shape(self) -> tuple[int, int]:
        """Number of bits, and two."""
        return math.prod(self.event_shape), 2

    def noise(self, key: jax.Array) -> jax.Array:
        """Draw logistic noise."""
        return draw_like(logistic, key, self.logits)

    def hard(self, perturbed: jax.Array) -> jax.Array:
        """Return ones where the perturbed logits are positive."""
        return (perturbed > 0).astype(self.dtype)

    def of_classes(self, classes: jax.Array) -> jax.Array:
        """Return the bits, in the event's shape."""
        return classes.reshape(self.event_shape).astype(self.dtype)

    def squash(self, logits: jax.Array) -> jax.Array:
        """Return the sigmoid."""
        return jax.nn.sigmoid(logits)

    def perturb_given(self, noise: jax.Array, sample: jax.Array) -> jax.Array:
        r"""Return $z$ given $b$, where $z = \phi + L$ and $b = 1[z > 0]$.

        With logistic noise $V$: $z = \mathrm{softplus}(V + \mathrm{softplus}(\phi))$ where b = 1
        and $z = -\mathrm{softplus}(-V + \mathrm{softplus}(-\phi))$ where b = 0; finite for every
        logit. Tucker et al. 2017 (REBAR), appendix, rearranged.
        """
        # Given b, sign * z is logistic around sign * phi, conditioned on being positive.
        sign = 2 * sample - 1
        logits = self.canonical().logits
        return sign * jax.nn.softplus(sign * noise + jax.nn.softplus(sign * logits))

    def log_probs(self, sample: jax.Array) -> jax.Array:
        r"""Return $b \log \sigma(\phi) + (1 - b) \log \sigma(-\phi)$ for each variable."""
        fixed = jnp.isinf(self.logits)
        logits = jnp.where(fixed, 0, self.logits)
        # 0 log 0 is zero, with derivative zero.
        other = jnp.where(self.logits > 0, 1 - sample, sample)
        nothing = jnp.where(other > 0, -jnp.inf, 0.0).astype(sample.dtype)
        return jnp.where(fixed, nothing, sample * logits - jax.nn.softplus(logits))

    def relax(self, temperature: Scalar) -> "RelaxedBernoulli":
        """Return the binary Concrete distribution at a temperature."""
        return RelaxedBernoulli(self.logits, temperature)

    def check(self) -> None:
        """Raise if the logits are not a float32 or float64 array, or are concrete and NaN."""
        _check_logits("Bernoulli", self.logits)


@pytree
class RelaxedBernoulli(Relaxed):
    r"""The binary Concrete distribution in logit space: $x = (\phi + L) / \tau$, L logistic.

    $\sigma(x)$ is the binary Concrete variable in (0, 1). The density is that of $x$, finite at any
    temperature; $\sigma(x)$ itself rounds to 0 or 1 in float32.
    Maddison et al. 2017 (arXiv:1611.00712), appendix B; Jang et al. 2017 (arXiv:1611.01144).

    Args:
        logits: $\phi$, of any shape; a sample has the same shape. If a logit is infinite,
            $\sigma(x)$ is zero or one and is left out of the density.
        temperature: $\tau > 0$, a scalar or an array of the logits' shape.
    """

    logits: jax.Array
    temperature: Scalar

    def canonical(self) -> "RelaxedBernoulli":
        """Return the same distribution with finite logits."""
        return RelaxedBernoulli(_finite(self.logits), self.temperature)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw $x$, differentiable in the logits and the temperature; `key` is consumed."""
        logits = self.canonical().logits
        return (logits + draw_like(logistic, key, logits)) / self.temperature

    def squash(self, sample: jax.Array) -> jax.Array:
        r"""Return the variable in (0, 1), $\sigma(x)$."""
        return jax.nn.sigmoid(sample)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the log-density of $x$ in nats."""
        logits = self.canonical().logits
        excess = self.temperature * sample - logits
        each = (
            jnp.log(self.temperature)
            + excess
            - 2 * jax.nn.softplus(excess)  # log of the logistic density
        )
        return jnp.where(_is_fixed(logits), 0, each).sum()

    def log_density(self, squashed: jax.Array) -> jax.Array:
        r"""Return the log-density of $y = \sigma(x)$ in nats, for y inside (0, 1)."""
        # A fixed bit is 0 or 1, where the logarithms are infinite.
        squashed = jnp.where(_is_fixed(self.logits), 0.5, squashed)
        inside = jnp.log(squashed) + jnp.log1p(-squashed)
        inside = jnp.where(_is_fixed(self.logits), 0, inside)
        return self.log_prob(jax.scipy.special.logit(squashed)) - inside.sum()

    def check(self) -> None:
        """Raise for wrong dtypes or shapes, or a concrete temperature out of range."""
        _check_logits("RelaxedBernoulli", self.logits)
        check_positive("RelaxedBernoulli temperature", self.temperature)
        check_floating("RelaxedBernoulli temperature", self.temperature)
        shape = jnp.shape(self.temperature)
        if shape not in ((), self.event_shape):
            raise ValueError(
                "RelaxedBernoulli temperature must be a scalar or of the logits' shape "
                f"{self.event_shape}, not {shape}"
            )


def _finite(logits: jax.Array) -> jax.Array:
    return jnp.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)


def _is_fixed(logits: jax.Array) -> jax.Array:
    """Return which bits are fixed, whether or not the logits are canonical."""
    return abs(logits) > LARGEST_LOGIT / 2


def _check_logits(name: str, logits: jax.Array) -> None:
    check_precision(f"{name} logits", logits)
    if is_concrete(logits) and np.any(np.isnan(logits)):
        raise ValueError(f"{name} logits must not be NaN: {logits}")
