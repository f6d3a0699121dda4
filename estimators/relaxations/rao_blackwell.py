"""The mean of relaxed samples given the hard one: Rao-Blackwellisation by Monte Carlo."""

from typing import Any

import jax

from estimators.core.distribution import Discrete


def mean_relaxed(
    keys: jax.Array, distribution: Discrete, sample: jax.Array, temperature: Any
) -> jax.Array:
    r"""Return the mean of relaxed samples whose noise is drawn given the hard sample.

    The noise counts as constant: the derivative in the logits is the mean of $J(y_k) / \tau$, as of
    straight-through Gumbel-softmax, not that of the posterior's own reparameterisation.

    Args:
        keys: one for each relaxed sample, consumed.
        distribution: where the hard sample is taken to come from.
        sample: the hard sample.
        temperature: $\tau$; no derivative passes through it.
    """
    temperature = jax.lax.stop_gradient(temperature)
    fixed = jax.lax.stop_gradient(distribution)
    live = distribution.logits - fixed.logits  # zero, with a derivative

    def relaxed(key):
        return distribution.relaxed(fixed.posterior(key, sample) + live, temperature)

    return jax.vmap(relaxed)(keys).mean(0)
