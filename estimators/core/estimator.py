"""The contract of every estimator: an expectation operator and a pytree."""

import abc
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp

from estimators.core.attaching import attached_by
from estimators.core.continuous_pass import continuous_point, in_continuous_pass
from estimators.core.distribution import Distribution
from estimators.core.objective import BlackBox, ImportanceBound, Objective, checked
from estimators.core.part import Part
from estimators.core.tuning import Tuning
from estimators.core.validation import check_key, one_or_nan, traced_conditions
from estimators.core.varying import axes_of_result, only_axes_matter, vary, varying_axes

Unbiased = Literal["yes", "no", "up to scale"]


class Estimator(Part, abc.ABC):
    r"""An estimator of $\nabla E_{z \sim q}[f(z)]$, as an expectation operator.

        loss = estimator(key, distribution, f)

    is a scalar estimate of $E[f(z)]$ (a loss to minimise), and `jax.grad` of it with respect to
    anything upstream is the gradient estimate. What the estimator attaches is the part through
    sampling; f's ordinary derivative at the sample, with respect to whatever f closes over, is the
    rest.

    Two stochastic layers are two nested calls, each with a key of its own: one key for two layers
    is silently biased. The distribution is one example's; batch by `jax.vmap` over keys and
    examples. A batch inside f is legal, but then every example's noise multiplies every other's
    loss.

    First derivatives only: a second derivative with respect to what the distribution depends on, or
    the estimator's own leaves, alone or mixed with what f closes over, raises TypeError, unless the
    estimator's gradient is ordinary autodiff. Second derivatives in what f alone closes over are
    right. Leaves that learn have a derivative in reverse mode only.

    Inside `jax.shard_map` the derivatives that an estimator takes itself are each device's own, so
    that a gradient is what it is on one device: JAX sums it over devices where the parameters are
    shared by them. On a mesh with explicit axes JAX cannot infer the sharding of a gather whose
    indices are sharded: `UnorderedSet`, `SumAndSample` and `CARMS` raise its `ShardingTypeError`
    there, and need `jax.shard_map` or automatic axes.

    Facts, which tests and tables read:
        distributions: the types of distribution that the estimator takes.
        differentiates: whether it needs the derivative of f with respect to its sample.
        enumerates: whether it visits every state, so that there must not be too many.
        continuous_passes: how many of its evaluations of f are continuous passes, which evaluate
            further layers once.
        relaxes: whether it evaluates f at relaxed samples of a `temperature`, and differentiates
            through them.
        needs_bound: whether f must be an `ImportanceBound`, over `q.independent(m)`.
        tuning: how the published experiments tuned its own leaves.
        paper: key of its source in `estimators.BIBLIOGRAPHY`.
        unbiased: whether the mean of its gradients is the true gradient.
    """

    distributions: Any
    differentiates: Any
    enumerates: Any = False
    continuous_passes: Any = 0
    relaxes: ClassVar[bool] = False
    needs_bound: Any = False
    tuning: Any = Tuning()
    paper: Any

    @property
    @abc.abstractmethod
    def unbiased(self) -> Unbiased:
        """Whether the mean of the gradient estimates is the true gradient."""

    @abc.abstractmethod
    def evaluations(self, distribution: Distribution) -> int:
        """Return the number of evaluations of f that one gradient takes."""

    @classmethod
    @abc.abstractmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return an instance of every variant: what tests prove and `estimax compare` shows."""

    @abc.abstractmethod
    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the estimate; arguments are checked and leaves have the distribution's type."""

    def __call__(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Estimate the expectation of `f` under `distribution`.

        Args:
            key: a typed random key, consumed.
            distribution: the distribution of one example's latent variable.
            f: maps one sample, of the distribution's event shape, to a scalar.

        Returns:
            A scalar, whose derivative is the gradient estimate. Its type is the wider of f's and
            the distribution's; gradients have the types of what they are gradients of.

        Raises:
            TypeError: for a legacy key, a distribution that the estimator does not take, parameters
                or values of f that are no floating-point numbers, a black box that would be
                differentiated or evaluated off its corners, or an f that is no `ImportanceBound`
                where one is needed.
            ValueError: for wrong shapes, an event without variables, and hyperparameters out of
                range. Where these are traced, value and gradient are NaN instead.
        """
        check_key(key)
        if not isinstance(distribution, self.distributions):
            raise TypeError(f"{type(self).__name__} {self.refusal(distribution)}")
        with traced_conditions() as conditions:
            distribution.check()
            self.check()
        if 0 in distribution.event_shape:
            raise ValueError(f"the distribution has no variables: shape {distribution.event_shape}")
        if reason := self.refusal(distribution):
            raise ValueError(f"{type(self).__name__}: {reason}")
        distribution = distribution.canonical()
        f = self._admitted(f)
        if in_continuous_pass():
            return f(continuous_point(key, distribution))

        def at_zeros():
            return f(jnp.zeros(distribution.event_shape, distribution.dtype))

        estimator = self._with_type(distribution.dtype)
        if only_axes_matter():
            return vary(at_zeros(), varying_axes(key, distribution, estimator))
        axes = axes_of_result(at_zeros, key, distribution, estimator)
        distribution, estimator = vary((distribution, estimator), axes)
        with attached_by(type(self).__name__):
            value = estimator.estimate(key, distribution, f)
        self._check_value(value)
        return value * one_or_nan(conditions, value.dtype) if conditions else value

    def refusal(self, distribution: Distribution) -> str | None:
        """Return why the estimator does not take a distribution, or None where it does."""
        if not isinstance(distribution, self.distributions):
            allowed = " or ".join(cls.__name__ for cls in self.distributions)
            return f"takes {allowed}, not {type(distribution).__name__}"
        return distribution.too_large() if self.enumerates else None

    def _admitted(self, f: Objective) -> Objective:
        if self.needs_bound and not isinstance(f, ImportanceBound):
            raise TypeError(
                f"{type(self).__name__} needs an ImportanceBound over q.independent(m) for f"
            )
        if self.differentiates and isinstance(f, BlackBox):
            raise TypeError(
                f"{type(self).__name__} needs the derivative of f, which is a black box"
            )
        return checked(f)

    def _check_value(self, value: Any) -> None:
        name = type(self).__name__
        if not isinstance(value, jax.Array):
            raise TypeError(
                f"{name}.estimate must return a scalar array, not {type(value).__name__}"
            )
        if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(
                f"{name}.estimate must return a floating-point scalar, not "
                f"{value.dtype} of shape {value.shape}"
            )

    def _with_type(self, dtype) -> Self:
        for name, value in self.hyperparameters().items():
            if isinstance(value, jax.Array) and value.ndim:
                raise ValueError(
                    f"{type(self).__name__} has a {name} of shape {jnp.shape(value)}: "
                    "map over a stack of estimators with jax.vmap"
                )
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), self)
