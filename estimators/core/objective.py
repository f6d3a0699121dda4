"""What f may be: a plain function, a black box, or a multi-sample bound."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from estimators.core.attaching import elementwise
from estimators.core.continuous_pass import in_continuous_pass

Objective = Callable[[jax.Array], Any]


@dataclasses.dataclass(frozen=True)
class BlackBox:
    """An f that is only ever called at hard samples and never differentiated there."""

    f: Objective

    def __call__(self, sample: jax.Array) -> jax.Array:
        """Evaluate f; TypeError in a continuous pass, or for a derivative in `sample`."""
        if in_continuous_pass():
            raise TypeError(
                "a black box f cannot be evaluated between its corners (continuous pass)"
            )
        return self.f(_corner_only(sample))


def black_box(f: Objective) -> BlackBox:
    """Mark an f that must not be called off the corners of its domain, nor differentiated.

    Estimators that need either raise TypeError, also through an enclosing layer. Derivatives with
    respect to whatever f closes over are untouched.

    Args:
        f: a function from one sample to a scalar.
    """
    return BlackBox(f)


def _corner_only(sample):
    return _corner_only_p.bind(jnp.asarray(sample))


def _refuse(tangent, sample):
    raise TypeError("a black box f cannot be differentiated with respect to its sample")


# No `jax.custom_jvp`, whose rule JAX drops from a `lax.scan` that was differentiated once.
_corner_only_p = elementwise("corner_only", lambda sample: sample, lambda _, sample: [sample])
ad.defjvp(_corner_only_p, _refuse)


@dataclasses.dataclass(frozen=True)
class ImportanceBound:
    r"""The multi-sample bound as an f of $m$ samples, negated: a loss to minimise.

    $f(z_1, \dots, z_m) = -\log \frac{1}{m} \sum_i e^{w(z_i)}$, where $w(z) = \log p(x, z) - \log
    q(z)$. Call it over `q.independent(m)`; its event has the shape `[m, *event]`. Not linear in
    $w$, so never nest a stochastic function in it: several layers are one joint path per sample.
    Burda et al. 2016 (arXiv:1509.00519).

    Args:
        log_weight: a function from one sample to its scalar log-weight in nats. It may close over
            live logits (for $\log q$); their ordinary gradient is part of the bound's. It may be
            minus infinity (likelihood zero), where its own derivative must be finite.
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


def checked(f: Objective) -> Objective:
    """Return f with a clear error where it does not return a real scalar.

    Its values have the wider of their own type and the sample's, which is the distribution's:
    what an estimator averages, subtracts or adds is never rounded to half precision.
    """
    if isinstance(f, ImportanceBound):
        return f  # its parts are checked, and estimators look for its type

    @functools.wraps(f)
    def scalar(sample: jax.Array) -> jax.Array:
        value = jnp.asarray(f(sample))
        if value.shape != ():
            raise ValueError(
                f"f must map one sample to a scalar, but returned shape {value.shape}; "
                "batch the estimator with jax.vmap, not f"
            )
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"f must return a real number, but returned {value.dtype}")
        with jax.numpy_dtype_promotion("standard"):
            return value.astype(jnp.result_type(value, sample))

    return scalar
