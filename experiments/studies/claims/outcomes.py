"""Gradients of an estimator at every value of its sample: claims without noise."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Categorical, Enumerable, Estimator, Poisson, Subset, pytree
from experiments.statistics import Estimate

Function = Callable[[jax.Array], jax.Array]
"""f of one sample."""


@pytree
class _GivenBits(Bernoulli):
    given: jax.Array

    def canonical(self) -> "_GivenBits":
        return _GivenBits(Bernoulli(self.logits).canonical().logits, self.given)

    def sample(self, key: jax.Array) -> jax.Array:
        del key
        return self.given


@pytree
class _GivenClasses(Categorical):
    given: jax.Array

    def canonical(self) -> "_GivenClasses":
        return _GivenClasses(Categorical(self.logits).canonical().logits, self.given)

    def sample(self, key: jax.Array) -> jax.Array:
        del key
        return self.given


@pytree
class _GivenSubset(Subset):
    given: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        del key
        return self.given


@pytree
class _GivenCounts(Poisson):
    given: jax.Array | None = None

    def sample(self, key: jax.Array) -> jax.Array:
        del key
        assert self.given is not None
        return self.given


@functools.singledispatch
def _given(distribution: Enumerable, parameter: jax.Array, sample: jax.Array) -> Enumerable:
    """Return the distribution at a parameter, with one sample whatever the key."""
    raise NotImplementedError(f"samples of {type(distribution).__name__} cannot be given")


@_given.register
def _(distribution: Bernoulli, parameter: jax.Array, sample: jax.Array) -> Enumerable:
    return _GivenBits(parameter, sample)


@_given.register
def _(distribution: Categorical, parameter: jax.Array, sample: jax.Array) -> Enumerable:
    return _GivenClasses(parameter, sample)


@_given.register
def _(distribution: Subset, parameter: jax.Array, sample: jax.Array) -> Enumerable:
    return _GivenSubset(parameter, distribution.k, sample)


@_given.register
def _(distribution: Poisson, parameter: jax.Array, sample: jax.Array) -> Enumerable:
    return _GivenCounts(parameter, distribution.most, sample)


def with_sample(distribution: Enumerable, sample: jax.Array) -> Enumerable:
    """Return a distribution with one parameter array, whose sample is this one."""
    (parameter,) = jax.tree.leaves(distribution)
    return _given(distribution, parameter, sample)


class Moments:
    """The moments of a gradient that takes finitely many values.

    Attributes:
        chances: the probability of each value, `[S]`.
        gradients: the gradient there, `[S, P]`.
        truth: the true gradient, `[P]`.
    """

    def __init__(self, chances: jax.Array, gradients: jax.Array, truth: jax.Array):
        """Keep them in double precision."""
        self.chances = np.asarray(chances, np.float64)
        self.gradients = np.asarray(gradients, np.float64)
        self.truth = np.asarray(truth, np.float64).ravel()

    @property
    def mean(self) -> np.ndarray:
        """The mean gradient, `[P]`."""
        return self.chances @ self.gradients

    @property
    def bias(self) -> float:
        """The norm of the bias relative to that of the true gradient."""
        return float(np.linalg.norm(self.mean - self.truth) / np.linalg.norm(self.truth))

    @property
    def variance(self) -> float:
        """The trace of the covariance, relative to the squared norm of the true gradient."""
        return self.second_moment - float(self.mean @ self.mean / (self.truth @ self.truth))

    @property
    def second_moment(self) -> float:
        """The mean squared norm, relative to the squared norm of the true gradient."""
        squares = np.sum(self.gradients**2, -1)
        return float(self.chances @ squares / (self.truth @ self.truth))


class Outcomes(Moments):
    """The gradients of an estimator that draws one sample, at each value of that sample.

    The estimator may use no other noise than its sample. The true gradient is the sum of f times
    the derivative of the probability.
    """

    def __init__(self, estimator: Estimator, distribution: Enumerable, f: Function):
        """Enumerate the samples.

        Args:
            estimator: the estimator.
            distribution: of bits, classes, a subset or counts, with one parameter array.
            f: f of one sample.
        """
        (parameter, *_) = jax.tree.leaves(distribution)
        states = distribution.states()

        def chances(parameter: jax.Array) -> jax.Array:
            log_prob = _given(distribution, parameter, states[0]).log_prob
            return jnp.exp(jax.vmap(log_prob)(states))

        def gradient(sample: jax.Array) -> jax.Array:
            def loss(parameter: jax.Array) -> jax.Array:
                return estimator(jax.random.key(0), _given(distribution, parameter, sample), f)

            return jax.grad(loss)(parameter).ravel()

        def truth(parameter: jax.Array) -> jax.Array:
            return chances(parameter) @ jax.vmap(f)(states)

        super().__init__(
            jax.jit(chances)(parameter),
            jax.jit(jax.vmap(gradient))(states),
            jax.jit(jax.grad(truth))(parameter),
        )


class Enumeration:
    """A distribution whose samples are enumerated; what was computed is kept."""

    def __init__(self, distribution: Enumerable):
        """Keep the distribution."""
        self.distribution = distribution
        self._found: dict[tuple[str, Function], Outcomes] = {}

    def __call__(self, estimator: Estimator, f: Function) -> Outcomes:
        """Return the gradients of an estimator at every sample."""
        name = str(estimator), f
        if name not in self._found:
            self._found[name] = Outcomes(estimator, self.distribution, f)
        return self._found[name]

    def log_ratio(self, first: Estimator, second: Estimator, f: Function) -> Estimate:
        """Return the natural log of the ratio of two estimators' variances."""
        return number(np.log(self(first, f).variance / self(second, f).variance))


def number(value: float | np.floating | jax.Array) -> Estimate:
    """Return a number without an error, but that of rounding."""
    return Estimate.student(float(value))


def apart(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Return the largest difference of two arrays, relative to the largest entry of the second."""
    return number(np.abs(first - second).max() / np.abs(second).max())
