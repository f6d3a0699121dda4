"""Independent copies of a distribution, for estimators of multi-sample bounds."""

import jax
import jax.numpy as jnp

from estimators.core.averages import as_origin
from estimators.core.distribution import Discrete, Distribution
from estimators.core.gradients import attach_gradient
from estimators.core.products import vdot
from estimators.distributions.chain import Chain


def attach_copy_scores(
    value: jax.Array, distribution: Discrete | Chain, samples: jax.Array, signal: jax.Array
) -> jax.Array:
    r"""Return `value`, with $\sum_i \mathrm{signal}_i \nabla \log q_i(z_i)$ attached at the copies.

    Args:
        value: a scalar.
        distribution: `q.independent(m)`.
        samples: one sample of each copy, `[m, *event]`.
        signal: `[m]`, stopped.
    """
    copies = distribution.given(samples) if isinstance(distribution, Chain) else distribution

    def weighted(copies: Discrete) -> jax.Array:
        return vdot(signal, copies.log_probs(samples).reshape(len(samples), -1).sum(-1))

    return attach_gradient(value, copies, jax.grad(weighted)(copies))


def shifted(log_weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the stopped log-weights minus an origin (their finite maximum), and the origin.

    The shift prevents a common constant from rounding off differences between bounds. It adds the
    origin to f, which is a negative logarithm.
    """
    stopped = jax.lax.stop_gradient(log_weights)
    origin = as_origin(stopped.max())
    return stopped - origin, origin


def with_replaced(log_weights: jax.Array, by: jax.Array) -> jax.Array:
    """Return `[m, m]`: row i holds the weights, with weight i replaced by `by[i]` or the scalar."""
    others = ~jnp.eye(len(log_weights), dtype=bool)
    return jnp.where(others, log_weights[None], jnp.reshape(by, (-1, 1)))


def finite_baseline(baseline: jax.Array, zero: jax.Array) -> jax.Array:
    """Return `baseline`, replaced by `zero` if it is not finite.

    A baseline is infinite if all other samples have likelihood zero. This depends only on the
    others, so the result is still a baseline, and the gradient is finite wherever the bound is.

    Args:
        baseline: baselines of bounds whose log-weights were shifted by an origin.
        zero: the shifted value of a bound of zero: the origin.
    """
    return jnp.where(jnp.isfinite(baseline), baseline, zero)


def too_few(copies: Distribution) -> str | None:
    """Return advice if there is only one sample, else None."""
    if not copies.event_shape or copies.event_shape[0] < 2:
        return "needs two samples or more: q.independent(m) with m >= 2"
    return None
