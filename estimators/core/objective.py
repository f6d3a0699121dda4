"""Kinds of f: a plain function, a black box, or a multi-sample bound."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from typing import NoReturn

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from estimators.core.attaching import elementwise
from estimators.core.continuous_pass import in_continuous_pass

Objective = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class BlackBox:
    """An f that is evaluated at hard samples only, and never differentiated in its sample."""

    f: Objective

    def __call__(self, sample: jax.Array) -> jax.Array:
        """Evaluate f; raise TypeError in a continuous pass, or when differentiated in `sample`."""
        if in_continuous_pass():
            raise TypeError(
                "a black box f cannot be evaluated between its corners (continuous pass)"
            )
        return self.f(_corner_only(sample))


def black_box(f: Objective) -> BlackBox:
    """Mark an f that must not be evaluated off the corners of its domain, nor differentiated.

    Estimators that need either raise TypeError, including those of an enclosing layer. Derivatives
    with respect to whatever f closes over are unaffected.

    Args:
        f: a function from one sample to a scalar.
    """
    return BlackBox(f)


def _corner_only(sample: jax.Array) -> jax.Array:
    return _corner_only_p.bind(jnp.asarray(sample))


def _refuse(tangent: object, sample: object) -> NoReturn:
    raise TypeError("a black box f cannot be differentiated with respect to its sample")


# Not `jax.custom_jvp`, whose rule JAX drops from a `lax.scan` that was differentiated once.
_corner_only_p = elementwise("corner_only", lambda sample: sample, lambda _, sample: [sample])
ad.defjvp(_corner_only_p, _refuse)


@dataclasses.dataclass(frozen=True)
class WithContext:
    """An f with numbers that a baseline or a control variate may know, such as the state.

    Attributes:
        f: the function.
        context: the numbers, as one vector.
    """

    f: Objective
    context: jax.Array

    def __call__(self, sample: jax.Array) -> jax.Array:
        """Evaluate f."""
        return self.f(sample)


def with_context(f: Objective, context: jax.Array) -> WithContext:
    """Return f with a context, which networks of baselines and control variates take as inputs.

    Such as the data x of a latent variable, or the state in which an action is chosen. It is
    stopped: a baseline may depend on anything but the sample, but must not be differentiated.
    Networks that take it say how many numbers: `NVIL(network=MLP(context=4))`; others ignore it.

    Args:
        f: a function from one sample to a scalar.
        context: a floating-point array.
    """
    return WithContext(f, jax.lax.stop_gradient(jnp.ravel(jnp.asarray(context))))


def and_context(inputs: jax.Array, f: Objective) -> jax.Array:
    """Return the inputs of a network, a vector, with those of f's context at its end."""
    if not isinstance(f, WithContext):
        return inputs
    return jnp.concatenate([inputs, f.context.astype(inputs.dtype)])


def is_black_box(f: Objective) -> bool:
    """Return whether f is a black box, with or without a context."""
    return isinstance(f.f if isinstance(f, WithContext) else f, BlackBox)


@dataclasses.dataclass(frozen=True)
class ImportanceBound:
    r"""The negated multi-sample bound, an f of $m$ samples: a loss to minimise.

    $f(z_1, \dots, z_m) = -\log \frac{1}{m} \sum_i e^{w(z_i)}$, where $w(z) = \log p(x, z) - \log
    q(z)$. Use it with `q.independent(m)`, whose event has the shape `[m, *event]`. It is not linear
    in $w$, so never nest a stochastic function in it: several layers are one joint path per sample.
    Burda et al. 2016 (arXiv:1509.00519).

    Args:
        log_weight: a function from one sample to its scalar log-weight in nats. It may close over
            live logits (for $\log q$); their ordinary gradient is part of the bound's. It may be
            minus infinity (likelihood zero), where its derivative must be finite.
    """

    log_weight: Objective

    def log_weights(self, samples: jax.Array) -> jax.Array:
        """Return the `[m]` log-weights of samples `[m, *event]`."""
        return jax.vmap(checked(self.log_weight))(samples)

    def __call__(self, samples: jax.Array) -> jax.Array:
        """Return the negated bound in nats, a scalar."""
        return self.reduce(self.log_weights(samples))

    @staticmethod
    def reduce(log_weights: jax.Array) -> jax.Array:
        """Return the negated bound from log-weights `[..., m]`, in nats."""
        count = jnp.asarray(log_weights.shape[-1], log_weights.dtype)
        return jnp.log(count) - jax.nn.logsumexp(log_weights, axis=-1)


def _array(value: object) -> jax.Array:
    """Return a value of f as an array; raise TypeError if it is something else."""
    wanted = "f must map one sample to a scalar, but returned"
    if value is None:
        raise TypeError(f"{wanted} None: does it lack a return statement?")
    if not isinstance(value, list | tuple):
        with contextlib.suppress(TypeError, ValueError):
            return jnp.asarray(value)
    article = "an" if type(value).__name__[0] in "aeiou" else "a"
    raise TypeError(f"{wanted} {article} {type(value).__name__}: return the loss alone")


def checked(f: Objective) -> Objective:
    """Return f, raising an error if it does not return a real scalar.

    Its values are converted to the wider of their own dtype and the sample's, so that no
    estimator computes in half precision.
    """
    if isinstance(f, ImportanceBound):
        return f  # its log-weights are checked, and estimators test for its type
    if isinstance(f, WithContext):
        return dataclasses.replace(f, f=checked(f.f))

    @functools.wraps(f)
    def scalar(sample: jax.Array) -> jax.Array:
        value = _array(f(sample))
        if value.shape != ():
            raise ValueError(
                f"f must map one sample to a scalar, but returned shape {value.shape}; "
                "batch the estimator with jax.vmap, not f"
            )
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"f must return a floating-point number, but returned {value.dtype}")
        with jax.numpy_dtype_promotion("standard"):
            return value.astype(jnp.result_type(value, sample))

    return scalar
