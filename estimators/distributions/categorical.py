"""Independent categorical variables and their relaxation, the Concrete distribution."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from estimators.core.distribution import Discrete, Relaxed
from estimators.core.noise import draw_like, gumbel
from estimators.core.pytree import pytree
from estimators.core.validation import check_floating, check_positive


@pytree
class Categorical(Discrete):
    r"""Independent one-hot categorical variables, $P(D = e_k) = \mathrm{softmax}(\theta)_k$.

    Args:
        logits: $\theta$, unnormalised, of shape `[..., K]` (usually `[D, K]`), float32 or float64.
            A sample has the same shape and type, one-hot on the last axis.
    """

    logits: Any

    @property
    def num_states(self) -> int:
        """Number of values: K to the number of variables."""
        *variables, classes = self.event_shape
        return classes ** int(np.prod(variables))

    @property
    def centre(self) -> float:
        """One over the number of classes."""
        return 1 / self.event_shape[-1]

    def states(self) -> jax.Array:
        """Return all values, of shape `[K ** D, *event_shape]`, in lexicographic order."""
        self.check_enumerable()
        *variables, classes = self.event_shape
        size = int(np.prod(variables))
        place = classes ** np.arange(size)[::-1]
        digits = (np.arange(classes**size)[:, None] // place) % classes
        one_hot = np.eye(classes)[digits].reshape(-1, *self.event_shape)
        return jnp.asarray(one_hot, self.dtype)

    def noise(self, key: jax.Array) -> jax.Array:
        """Draw Gumbel noise."""
        return draw_like(gumbel, key, self.logits)

    def hard(self, perturbed: jax.Array) -> jax.Array:
        """Return the one-hot vector of the arg max: the Gumbel-max trick."""
        classes = perturbed.shape[-1]
        return jax.nn.one_hot(jnp.argmax(perturbed, -1), classes, dtype=self.dtype)

    def class_log_probs(self) -> jax.Array:
        """Return the log-probabilities of the classes, `[D, K]`."""
        return jax.nn.log_softmax(self.logits).reshape(-1, self.event_shape[-1])

    def of_classes(self, classes: jax.Array) -> jax.Array:
        """Return the one-hot vectors in the event's shape."""
        one_hot = jax.nn.one_hot(classes, self.event_shape[-1], dtype=self.dtype)
        return one_hot.reshape(self.event_shape)

    def log_excess(self, noise: jax.Array) -> jax.Array:
        r"""Return $\log E$ of the other classes from the Gumbel noise, `[D, K]`.

        $E_k = e^{-G_k} - p_k e^{-M}$, which is what an exponential variable exceeds a bound by.
        """
        shape = -1, self.event_shape[-1]
        log_probs, noise = self.class_log_probs(), noise.reshape(shape)
        perturbed = log_probs + noise
        winner = jnp.argmax(self.perturb(noise.reshape(self.event_shape)).reshape(shape), -1)
        lead = jnp.max(perturbed, -1, keepdims=True) - perturbed
        excess = -noise + jnp.log(-jnp.expm1(-lead))
        return jnp.where(jax.nn.one_hot(winner, shape[-1], dtype=bool), -jnp.inf, excess)

    def squash(self, logits: jax.Array) -> jax.Array:
        """Return the softmax over the last axis."""
        return jax.nn.softmax(logits)

    def hard_squash(self, logits: jax.Array) -> jax.Array:
        r"""Return the hard sigmoid of each class's log-odds.

        These are $\theta_k - \log\sum_{j \ne k} e^{\theta_j}$.
        With two classes it is the Bernoulli variable's. It need not sum to one: only its derivative
        is used.
        """
        itself = jnp.eye(logits.shape[-1], dtype=bool)
        others = jnp.where(itself, -jnp.inf, logits[..., None, :])
        log_odds = logits - jax.nn.logsumexp(others, axis=-1)
        return jnp.clip((log_odds + 1) / 2, 0, 1)

    def perturb_given(self, noise: jax.Array, sample: jax.Array) -> jax.Array:
        r"""Return $\theta + G$ given that its arg max is the sample.

        The maximum is a Gumbel variable located at $\log \sum_k e^{\theta_k}$; the others are
        Gumbel variables truncated at it (Maddison et al. 2014; Paulus et al. 2021,
        arXiv:2010.04838).
        """
        log_probs = jax.nn.log_softmax(self.logits)
        winner = jnp.sum(sample * noise, -1, keepdims=True)
        others = -jnp.logaddexp(-noise - log_probs, -winner)
        shift = jax.nn.logsumexp(self.logits, axis=-1, keepdims=True)
        maximum = winner + shift
        # Rounding can lift another class to the maximum: keep it one step below.
        step = jnp.finfo(self.dtype).eps * jnp.abs(maximum) + jnp.finfo(self.dtype).tiny
        below = jnp.minimum(others + shift, maximum - jax.lax.stop_gradient(step))
        return jnp.where(sample > 0, maximum, below)

    def noise_given(self, perturbed: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the Gumbel noise: the maximum's own, the others' before truncation."""
        centred = perturbed - jax.nn.logsumexp(self.logits, axis=-1, keepdims=True)
        winner = jnp.sum(sample * centred, -1, keepdims=True)
        below = jnp.maximum(winner - centred, jnp.finfo(self.dtype).tiny)
        others = centred - jnp.log(-jnp.expm1(-below)) - jax.nn.log_softmax(self.logits)
        return jnp.where(sample > 0, winner, others)

    def log_probs(self, sample: jax.Array) -> jax.Array:
        r"""Return $\sum_k D_k \log p_k$ for each variable, of shape `[..., 1]`."""
        return jnp.sum(sample * jax.nn.log_softmax(self.logits), -1, keepdims=True)

    def alternatives(self, sample: jax.Array) -> jax.Array:
        """Return `[K - 1, *event_shape]`: every class moved on by 1 to K - 1, in a ring."""
        steps = range(1, sample.shape[-1])
        return jnp.stack([jnp.roll(sample, step, axis=-1) for step in steps])

    def halfway_logits(self, sample: jax.Array) -> jax.Array:
        r"""Return $\log (p + D)$: logits need no normalisation."""
        log_probs = jax.nn.log_softmax(self.logits)
        return jnp.where(sample > 0, jnp.log1p(jnp.exp(log_probs)), log_probs)

    def relax(self, temperature: Any) -> "RelaxedCategorical":
        """Return the Concrete distribution at a temperature."""
        return RelaxedCategorical(self.logits, temperature)

    def check(self) -> None:
        """Raise where the logits are not a float array with a last axis of at least two classes."""
        super().check()
        _check_classes("Categorical", self.event_shape)


@pytree
class RelaxedCategorical(Relaxed):
    r"""The Concrete distribution in log-simplex space.

    $x = \log\mathrm{softmax}((\theta + G) / \tau)$ with Gumbel noise G.

    $e^x$ is the Concrete variable on the simplex. Its density is evaluated at $x$ (the ExpConcrete
    density), where it is finite at every temperature.
    Maddison et al. 2017 (arXiv:1611.00712), appendix C; Jang et al. 2017 (arXiv:1611.01144).

    Args:
        logits: $\theta$, of shape `[..., K]`; a sample has the same shape.
        temperature: $\tau > 0$, a scalar or an array of shape `[..., 1]`.
    """

    logits: Any
    temperature: Any

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the logits."""
        return jnp.shape(self.logits)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw $x$, differentiable in the logits and the temperature; `key` is consumed."""
        perturbed = self.logits + draw_like(gumbel, key, self.logits)
        return jax.nn.log_softmax(perturbed / self.temperature)

    def squash(self, sample: jax.Array) -> jax.Array:
        """Return the variable on the simplex, $e^x$."""
        return jnp.exp(sample)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        r"""Return the log-density at $x$ in log-simplex space, in nats.

        $\log (K-1)! + (K-1) \log\tau + \sum_k (\theta_k - \tau x_k)
        - K \log \sum_k e^{\theta_k - \tau x_k}$ for each variable.
        """
        classes = self.event_shape[-1]
        # In log-simplex space the density is a function of one gap per class, so shifting is free.
        gap = self.logits - self.temperature * sample
        each = (
            gammaln(jnp.asarray(classes, self.dtype))
            + (classes - 1) * jnp.log(self.temperature)
            + jnp.sum(gap - jax.nn.logsumexp(gap, axis=-1, keepdims=True), -1, keepdims=True)
        )
        return each.sum()

    def log_density(self, squashed: jax.Array) -> jax.Array:
        """Return the log-density of $y = e^x$ on the simplex, in nats, given y strictly inside."""
        log = jnp.log(squashed)
        return self.log_prob(log) - log.sum()

    def check(self) -> None:
        """Raise where types or shapes are wrong, or a concrete temperature is out of range."""
        check_floating("RelaxedCategorical logits", self.logits)
        _check_classes("RelaxedCategorical", self.event_shape)
        check_positive("RelaxedCategorical temperature", self.temperature)
        check_floating("RelaxedCategorical temperature", self.temperature)
        shape, one_each = jnp.shape(self.temperature), (*self.event_shape[:-1], 1)
        if shape not in ((), one_each):
            raise ValueError(
                f"RelaxedCategorical temperature must be a scalar or of shape {one_each}, "
                f"not {shape}"
            )


def _check_classes(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) < 1 or shape[-1] < 2:
        raise ValueError(
            f"{name} logits need a last axis of at least two classes, not shape {shape}"
        )
