"""Abstract classes of distributions."""

import abc
import dataclasses
import math
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.pytree import Scalar, leaf_names
from estimators.core.validation import check_count
from estimators.core.varying import vary_alike

LARGEST_LOGIT = 1e9
"""Stands in for an infinite logit: far beyond all noise.

In float32 its probability is zero at temperatures below 1e7, and dividing it by a temperature above
1e-29 does not overflow.
"""


class Distribution(abc.ABC):
    """A distribution over one example's event; batch it with `jax.vmap`.

    Its parameters are pytree leaves, so that a distribution can be differentiated and mapped over,
    and gradients can be attached at it.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __post_init__(self) -> None:
        """Convert integers to floats: JAX does not differentiate integers."""
        for name in leaf_names(type(self)):
            if isinstance(getattr(self, name), int):
                object.__setattr__(self, name, float(getattr(self, name)))

    @property
    @abc.abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the parameters, and so of samples, log-probabilities and gradients."""
        return jnp.result_type(*jax.tree.leaves(self))

    @abc.abstractmethod
    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample of shape `event_shape`; `key` is consumed."""

    @abc.abstractmethod
    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the scalar log-probability (or log-density) of one sample, in nats."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raise ValueError or TypeError for wrong shapes, dtypes or concrete parameters."""

    def score(self, sample: jax.Array) -> Self:
        """Return the gradient of `log_prob(sample)` in the parameters, shaped like them."""
        distribution, sample = vary_alike(self, sample)
        return jax.grad(lambda distribution: distribution.log_prob(sample))(distribution)

    def canonical(self) -> Self:
        """Return the same distribution with finite, centred logits, as used by estimators.

        Logits beyond +-`LARGEST_LOGIT` are clipped there, where probabilities round to zero or one,
        and have no derivative. Unchanged by default.
        """
        return self

    def too_large(self) -> str | None:
        """Return a message if there are too many states to enumerate, else None."""
        return None

    def independent(self, num_copies: int) -> Self:
        """Return independent copies as one distribution with event `[num_copies, *event]`."""
        check_count("num_copies", num_copies, 1)

        def repeat(parameter: jax.Array) -> jax.Array:
            if self.event_shape and jnp.ndim(parameter) == 0:  # a shared temperature
                return parameter
            return jnp.broadcast_to(parameter, (num_copies, *jnp.shape(parameter)))

        return jax.tree.map(repeat, self)


class Continuous(Distribution):
    """A distribution whose sample is a differentiable function of its parameters."""


class Relaxed(Continuous):
    """A relaxed discrete distribution over the unsquashed variable, whose density is stable."""

    logits: jax.Array
    temperature: Scalar

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the logits."""
        return jnp.shape(self.logits)

    @abc.abstractmethod
    def squash(self, sample: jax.Array) -> jax.Array:
        """Return the relaxed sample in (0, 1), or on the simplex."""

    @abc.abstractmethod
    def log_density(self, squashed: jax.Array) -> jax.Array:
        """Return the log-density of the squashed variable, inside its range, in nats."""


class Enumerable(Distribution):
    """A distribution over finitely many states, which can be visited one by one."""

    max_states: ClassVar[int] = 2**20

    @property
    @abc.abstractmethod
    def num_states(self) -> int:
        """Number of values that a sample can take."""

    @abc.abstractmethod
    def state(self, index: jax.Array) -> jax.Array:
        """Return value number `index`, if they can be enumerated."""

    def states(self) -> jax.Array:
        """Return all values, of shape `[num_states, *event_shape]`, in lexicographic order."""
        self.check_enumerable()
        return jax.vmap(self.state)(jnp.arange(self.num_states, dtype="int32"))

    def too_large(self) -> str | None:
        """Return a message if there are too many states to enumerate, else None."""
        count = self.num_states
        if count <= self.max_states:
            return None
        shown = f"{count:,}" if count < 10**9 else f"10^{math.log10(count):.0f}"
        return (
            f"{type(self).__name__} of event shape {self.event_shape} has {shown} states; "
            f"at most {self.max_states:,} are enumerated"
        )

    def check_enumerable(self) -> None:
        """Raise ValueError if there are too many states to enumerate."""
        if reason := self.too_large():
            raise ValueError(reason)


def digits(index: jax.Array, count: int, base: int) -> jax.Array:
    """Return the `[count]` digits of a number, the last of which changes fastest."""
    place = (base ** np.arange(count)[::-1]).astype("int32")
    return index // place % base


class Discrete(Enumerable):
    r"""A discrete distribution with logits, sampled by adding parameter-free noise to them.

    `key -> noise -> perturbed logits -> hard sample` (threshold, or arg max: the Gumbel-max trick),
    and from the same perturbed logits the relaxed sample at any temperature (Concrete: Jang et al.
    2017, Maddison et al. 2017). `posterior` draws the perturbed logits given the hard sample. A
    subclass without `perturb_given` has no `posterior`, and one without `relax` no density of its
    relaxed samples; all else follows from the abstract members.
    """

    logits: jax.Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: that of the logits."""
        return jnp.shape(self.logits)

    @property
    @abc.abstractmethod
    def class_shape(self) -> tuple[int, int]:
        """Number of variables, and of classes per variable. The classes of a bit are 0 and 1."""

    @abc.abstractmethod
    def noise(self, key: jax.Array) -> jax.Array:
        """Draw parameter-free noise of shape `event_shape`; `key` is consumed."""

    @abc.abstractmethod
    def hard(self, perturbed: jax.Array) -> jax.Array:
        """Return the hard sample of perturbed logits: their threshold, or one-hot arg max."""

    @abc.abstractmethod
    def of_classes(self, classes: jax.Array) -> jax.Array:
        """Return the sample whose variables have the given integer classes `[variables]`."""

    @abc.abstractmethod
    def squash(self, logits: jax.Array) -> jax.Array:
        """Return probabilities: sigmoid of Bernoulli logits, softmax of categorical ones."""

    @abc.abstractmethod
    def log_probs(self, sample: jax.Array) -> jax.Array:
        """Return each variable's log-probability of its part of `sample`, in nats.

        The shape is that of one sample, with a last axis of one for categorical variables, so that
        it broadcasts against the sample. Linear in `sample`, so it extends to relaxed samples.
        """

    def perturb_given(self, noise: jax.Array, sample: jax.Array) -> jax.Array:
        """Return perturbed logits given the hard sample, from noise like that of `perturb`."""
        raise NotImplementedError(f"{type(self).__name__} has no posterior of its perturbed logits")

    def relax(self, temperature: Scalar) -> Relaxed:
        """Return the relaxed (Concrete) distribution with the same logits."""
        raise NotImplementedError(f"{type(self).__name__} has no relaxed distribution")

    @property
    def mean(self) -> jax.Array:
        """The mean: the probabilities."""
        return self.squash(self.logits)

    @property
    def num_states(self) -> int:
        """Number of values that a sample can take."""
        variables, classes = self.class_shape
        return classes**variables

    def state(self, index: jax.Array) -> jax.Array:
        """Return value number `index` in lexicographic order, if they can be enumerated."""
        self.check_enumerable()
        return self.of_classes(digits(index, *self.class_shape))

    def with_logits(self, logits: jax.Array) -> Self:
        """Return the same kind of distribution with other logits."""
        return dataclasses.replace(self, logits=logits)

    def perturb(self, noise: jax.Array) -> jax.Array:
        """Return the perturbed logits: the canonical logits plus the noise."""
        return self.canonical().logits + noise

    def posterior(self, key: jax.Array, sample: jax.Array) -> jax.Array:
        """Draw the perturbed logits given the hard sample; differentiable in the logits."""
        return self.perturb_given(self.noise(key), sample)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one hard sample; `key` is consumed."""
        return jax.lax.stop_gradient(self.hard(self.perturb(self.noise(key))))

    def relaxed(self, perturbed: jax.Array, temperature: Scalar) -> jax.Array:
        """Return the relaxed sample of perturbed logits at a temperature."""
        return self.squash(perturbed / temperature)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the log-probability in nats; linear in `sample`, which may be relaxed."""
        return self.log_probs(sample).sum()

    def entropy(self) -> jax.Array:
        """Return the entropy in nats."""
        # log_prob is linear in the sample, so its mean is its value at the mean.
        return -self.log_prob(self.mean)

    def kl(self, other: Self) -> jax.Array:
        """Return the Kullback-Leibler divergence from `self` to `other` in nats."""
        return self.log_prob(self.mean) - other.log_prob(self.mean)
