"""Monte Carlo Rao-Blackwellisation: the mean of relaxed samples given the hard one."""

import jax

from estimators.core.distribution import Discrete
from estimators.core.pytree import Scalar


def mean_relaxed(
    keys: jax.Array, distribution: Discrete, sample: jax.Array, temperature: Scalar
) -> jax.Array:
    r"""Return the mean of relaxed samples whose noise is drawn given the hard sample.

    The noise is treated as constant: the derivative in the logits is the mean of $J(y_k) / \tau$,
    as in straight-through Gumbel-softmax, not that of a reparametrised posterior.

    Args:
        keys: one key for each relaxed sample, consumed.
        distribution: the distribution from which the hard sample is treated as drawn.
        sample: the hard sample.
        temperature: $\tau$; no derivative passes through it.
    """
    temperature = jax.lax.stop_gradient(temperature)
    fixed = jax.lax.stop_gradient(distribution)
    live = distribution.logits - fixed.logits  # value zero, nonzero derivative

    def relaxed(key: jax.Array) -> jax.Array:
        return distribution.relaxed(fixed.posterior(key, sample) + live, temperature)

    return jax.vmap(relaxed)(keys).mean(0)
