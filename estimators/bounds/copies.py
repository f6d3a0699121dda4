"""What estimators of multi-sample bounds share: independent copies, of which each has a signal."""

import jax
import jax.numpy as jnp

from estimators.core.averages import as_origin
from estimators.core.distribution import Discrete, Distribution
from estimators.core.gradients import attach_gradient
from estimators.core.products import vdot


def attach_copy_scores(
    value: jax.Array, copies: Distribution, samples: jax.Array, signal: jax.Array
) -> jax.Array:
    r"""Return `value`, with $\sum_i \mathrm{signal}_i \nabla \log q_i(z_i)$ attached at the copies.

    Args:
        value: a scalar.
        copies: `q.independent(m)`.
        samples: one of each copy, `[m, *event]`.
        signal: `[m]`, stopped.
    """
    assert isinstance(copies, Discrete)

    def weighted(copies):
        return vdot(signal, copies.log_probs(samples).reshape(len(samples), -1).sum(-1))

    return attach_gradient(value, copies, jax.grad(weighted)(copies))


def shifted(log_weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the log-weights, stopped, less an origin near the largest; and that origin.

    So a constant in them does not round the differences between bounds. By the shift f, minus a
    logarithm, grows by the origin.
    """
    stopped = jax.lax.stop_gradient(log_weights)
    origin = as_origin(stopped.max())
    return stopped - origin, origin


def with_replaced(log_weights: jax.Array, by: jax.Array) -> jax.Array:
    """Return `[m, m]`: in row i, weight i is replaced by `by[i]`, or by the scalar."""
    others = ~jnp.eye(len(log_weights), dtype=bool)
    return jnp.where(others, log_weights[None], jnp.reshape(by, (-1, 1)))


def finite_baseline(baseline: jax.Array, zero: jax.Array) -> jax.Array:
    """Return `baseline`, and `zero` where it is not finite.

    It is infinite where all other samples have likelihood zero: a matter of them alone, so zero in
    its place is a baseline too, and the gradient is finite wherever the bound is.

    Args:
        baseline: of bounds whose log-weights have been shifted by an origin.
        zero: what a bound of zero becomes by that: the origin.
    """
    return jnp.where(jnp.isfinite(baseline), baseline, zero)


def too_few(copies: Distribution) -> str | None:
    """Return what to write instead where a sample has no others, else None."""
    if not copies.event_shape or copies.event_shape[0] < 2:
        return "needs two samples or more: q.independent(m) with m >= 2"
    return None
