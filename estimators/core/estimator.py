"""The contract of every estimator: an expectation operator and a pytree."""

import abc
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from estimators.core.attaching import attached_by
from estimators.core.continuous_pass import continuous_point, in_continuous_pass
from estimators.core.contributions import check_counters
from estimators.core.distribution import Distribution
from estimators.core.fields import alternatives
from estimators.core.objective import ImportanceBound, Objective, checked, is_black_box
from estimators.core.part import Part
from estimators.core.tuning import Tuning
from estimators.core.validation import check_key, is_key, one_or_nan, traced_conditions
from estimators.core.varying import axes_of_result, only_axes_matter, vary, varying_axes

Unbiased = Literal["yes", "no", "up to scale"]

T = TypeVar("T")
D = TypeVar("D", bound=Distribution, contravariant=True)
F = TypeVar("F", bound=Objective, contravariant=True)


def fact(of: Callable[[Any], T]) -> T:
    """Return a class fact that depends on the instance's fields: a property, typed as its value.

    Example:
        `differentiates = fact(lambda self: self.relaxes_objective)`
    """
    return cast(T, property(of))


class Estimator(Part, Generic[D, F], abc.ABC):
    r"""An estimator of $\nabla E_{z \sim q}[f(z)]$, as an expectation operator.

        loss = estimator(key, distribution, f)

    is a scalar estimate of $E[f(z)]$ (a loss to minimise), and `jax.grad` of it with respect to
    anything upstream is the gradient estimate. The estimator attaches the part of the gradient
    that goes through sampling; the rest is f's ordinary derivative at the sample, with respect to
    whatever f closes over.

    Two stochastic layers are two nested calls, each with its own key: using one key for two layers
    biases the estimate silently. The distribution is that of one example; batch with `jax.vmap`
    over keys and examples. A batch inside f is allowed, but then each example's noise multiplies
    the losses of all examples.

    First derivatives only: a second derivative with respect to the distribution's parameters or
    the estimator's own leaves, alone or mixed with what f closes over, raises TypeError, unless the
    estimator's gradient is ordinary autodiff. Second derivatives with respect to values that only f
    closes over are correct. Learned leaves are differentiable in reverse mode only.

    Inside `jax.shard_map`, the derivatives that an estimator takes internally are local to each
    device, so the gradient equals that on one device: JAX sums it over devices for shared
    parameters. On a mesh with explicit axes JAX cannot infer the sharding of a gather with sharded
    indices: `UnorderedSet`, `SumAndSample` and `CARMS` raise its `ShardingTypeError` there, and
    need `jax.shard_map` or automatic axes.

    A subclass names its distributions (a union for several) and its objective, `Objective` or
    `ImportanceBound`, as type arguments: `class VIMCO(Estimator[Bernoulli | Categorical,
    ImportanceBound])`. A type variable stands for its bound until a further subclass replaces it.
    It implements `estimate`, and overrides these facts if the default is wrong:

    Attributes:
        distributions: the supported types of distribution; by default the first type argument.
        needs_bound: whether f must be an `ImportanceBound`, over `q.independent(m)`; by default
            whether the second type argument allows nothing else.
        unbiased: whether the mean of the gradient estimates is the true gradient.
        differentiates: whether it needs the derivative of f with respect to its sample.
        enumerates: whether it visits every state, so their number is limited.
        continuous_passes: how many of its evaluations of f are continuous passes, which evaluate
            further layers once.
        relaxes: whether it evaluates f at relaxed samples only, and differentiates through them.
        exact_law: whether its hard samples follow the distribution; otherwise its value is biased,
            as that of an f at relaxed samples is.
        tuning: how the published experiments tuned its own leaves.
        paper: key of its source in `estimators.BIBLIOGRAPHY`.
    """

    distributions: ClassVar[tuple[type[Distribution], ...]] = (Distribution,)
    needs_bound: ClassVar[bool] = False
    unbiased: ClassVar[Unbiased] = "no"
    differentiates: ClassVar[bool] = False
    enumerates: ClassVar[bool] = False
    continuous_passes: ClassVar[int] = 0
    relaxes: ClassVar[bool] = False
    exact_law: ClassVar[bool] = True
    tuning: ClassVar[Tuning] = Tuning()
    _arguments: ClassVar[types.GenericAlias] = types.GenericAlias(tuple, (D, F))

    def __init_subclass__(cls) -> None:
        """Derive `distributions` and `needs_bound` from the type arguments, unless stated.

        Raises:
            TypeError: for a string as type argument, since it names no class.
        """
        super().__init_subclass__()
        for base in vars(cls).get("__orig_bases__", ()):
            origin = typing.get_origin(base) or object
            if not (issubclass(origin, Estimator) and origin._arguments.__parameters__):
                continue  # not an estimator, or one without open type variables
            old = origin._arguments
            given = dict(zip(vars(origin)["__parameters__"], typing.get_args(base), strict=True))
            cls._arguments = new = old[tuple(given[one] for one in old.__parameters__)]
            distributions, objectives = map(alternatives, new.__args__)
            if any(isinstance(one, typing.ForwardRef) for one in distributions + objectives):
                raise TypeError(f"{cls.__name__}: type arguments of Estimator cannot be strings")
            if (
                new.__args__[0] != old.__args__[0]
                and "distributions" not in vars(cls)
                and Any not in distributions
            ):
                cls.distributions = distributions
            if new.__args__[1] != old.__args__[1] and "needs_bound" not in vars(cls):
                cls.needs_bound = all(
                    isinstance(one, type) and issubclass(one, ImportanceBound) for one in objectives
                )

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return one instance of every variant, for tests and `estimax compare`."""
        return (cls(),)

    def evaluations(self, distribution: D) -> int:
        """Return the number of evaluations of f per gradient."""
        return 1

    @abc.abstractmethod
    def estimate(self, key: jax.Array, distribution: D, f: F) -> jax.Array:
        """Return the estimate; arguments are checked and leaves have the distribution's dtype."""

    def __call__(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Estimate the expectation of `f` under `distribution`.

        Args:
            key: a typed random key, consumed.
            distribution: the distribution of one example's latent variable.
            f: maps one sample, of the distribution's event shape, to a scalar.

        Returns:
            A scalar, whose derivative is the gradient estimate. Its dtype is the wider of f's and
            the distribution's; each gradient has the dtype of its parameter.

        Raises:
            TypeError: for arguments in another order, a legacy key, a distribution of another type
                or logits in place of one, parameters or values of f that are not floating-point, a
                black box that the estimator would differentiate or evaluate between corners, or an
                f that is not an `ImportanceBound` if one is needed.
            ValueError: for wrong shapes, an event without variables, hyperparameters out of range,
                and moving averages that an optimiser of the model has updated. If these are
                traced, value and gradient are NaN instead.
        """
        check_call(type(self).__name__, key, distribution, f)
        if not isinstance(distribution, self.distributions):
            reason = f"{self.refusal(distribution)}{self.instead(distribution)}"
            raise TypeError(f"{type(self).__name__} {reason}")
        with traced_conditions() as conditions:
            check_counters(self)  # first: a bad update of the estimator soon spoils the model
            distribution.check()
            self.check()
            if 0 in (shape := distribution.event_shape):
                raise ValueError(f"the distribution has no variables: shape {shape}")
            if reason := self.refusal(distribution):
                raise ValueError(f"{type(self).__name__}: {reason}")
        distribution = distribution.canonical()
        f = self._admitted(f)
        if in_continuous_pass():
            return f(continuous_point(key, distribution))

        def at_zeros() -> jax.Array:
            return f(jnp.zeros(distribution.event_shape, distribution.dtype))

        estimator = self._with_type(distribution.dtype)
        if only_axes_matter():
            return vary(at_zeros(), varying_axes(key, distribution, estimator))
        axes = axes_of_result(at_zeros, key, distribution, estimator)
        distribution, estimator = vary((distribution, estimator), axes)
        with attached_by(type(self).__name__):
            value = estimator.estimate(key, cast(D, distribution), cast(F, f))
        self._check_value(value)
        return value * one_or_nan(conditions, value.dtype) if conditions else value

    def refusal(self, distribution: Distribution) -> str | None:
        """Return why the estimator does not support a distribution, or None if it does."""
        if not isinstance(distribution, self.distributions):
            allowed = " or ".join(cls.__name__ for cls in self.distributions)
            return f"takes {allowed}, not {_shown(distribution)}"
        if self.enumerates and (reason := distribution.too_large()):
            return reason
        return self.unfit(cast(D, distribution))

    def instead(self, distribution: Distribution) -> str:
        """Return which estimators of the same family take the type of a distribution.

        Returns:
            `; use A or B`, or "" if this estimator takes it or none of them does.
        """
        if isinstance(distribution, self.distributions):
            return ""
        names = sorted(
            cls.__name__
            for cls in _subclasses(Estimator)
            if _family(cls) == _family(type(self)) != ""
            and cls.needs_bound == self.needs_bound
            and isinstance(distribution, cls._taken())
        )
        return (
            f"; use {', '.join(names[:-1])}{' or ' * (len(names) > 1)}{names[-1]}" if names else ""
        )

    @classmethod
    def _taken(cls) -> tuple[type[Distribution], ...]:
        """Return the types of distribution that the class takes, in whatever variant."""
        taken = cls.distributions  # a property, if it depends on the variant
        return taken if isinstance(taken, tuple) else alternatives(cls._arguments.__args__[0])

    def unfit(self, distribution: D) -> str | None:
        """Return why a distribution of a supported type does not fit, or None if it does."""

    def _admitted(self, f: Objective) -> Objective:
        if self.needs_bound and not isinstance(f, ImportanceBound):
            raise TypeError(
                f"{type(self).__name__} needs an ImportanceBound over q.independent(m) for f"
            )
        if self.differentiates and is_black_box(f):
            raise TypeError(
                f"{type(self).__name__} needs the derivative of f, which is a black box"
            )
        return checked(f)

    def _check_value(self, value: object) -> None:
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

    def _with_type(self, dtype: DTypeLike) -> Self:
        for name, value in self.hyperparameters().items():
            if isinstance(value, jax.Array) and value.ndim:
                raise ValueError(
                    f"{type(self).__name__} has a {name} of shape {jnp.shape(value)}: "
                    "map over a stack of estimators with jax.vmap"
                )
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), self)


def _subclasses(cls: type[Estimator[Any, Any]]) -> Iterator[type[Estimator[Any, Any]]]:
    for one in cls.__subclasses__():
        yield one
        yield from _subclasses(one)


def _family(cls: type[Estimator[Any, Any]]) -> str:
    """Return the package of a class of this library, "" for other classes."""
    package = cls.__module__.rpartition(".")[0]
    return package if package.startswith(f"{__name__.partition('.')[0]}.") else ""


def check_call(name: str, key: object, distribution: object, f: object) -> None:
    """Raise unless the arguments of an estimator, called `name`, are in order, and f a function."""
    if isinstance(key, Distribution) or isinstance(f, Distribution) or is_key(distribution):
        given = ", ".join(map(_shown, (key, distribution, f)))
        raise TypeError(f"{name} takes (key, distribution, f), in this order, not ({given})")
    if not callable(f):
        raise TypeError(f"{name} takes a function of one sample as f, not {_shown(f)}")
    check_key(key)


def check_distribution(name: str, distribution: object) -> None:
    """Raise TypeError unless a value is a distribution."""
    if not isinstance(distribution, Distribution):
        raise TypeError(f"{name} takes a distribution, not {_shown(distribution)}")


def _shown(value: object) -> str:
    """Return what a wrong argument is, for messages."""
    if is_key(value):
        return "a key"
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array of shape {value.shape}: wrap logits, as in Bernoulli(logits)"
    if isinstance(value, type):
        return f"the class {value.__name__}: build one, as in {value.__name__}(...)"
    if isinstance(value, types.FunctionType):
        return "a function"
    return type(value).__name__
