"""The distribution half way from the mean to a sample, at which ReinMax takes its derivative."""

from typing import Any

import jax

from estimators.core.distribution import Discrete


def halfway(distribution: Discrete, sample: jax.Array, temperature: Any = 1.0) -> Discrete:
    """Return the distribution whose mean is half way from the (tempered) mean to the sample.

    Its logits move one to one with the given distribution's: a Jacobian is taken at another point,
    and nothing else changes.

    Args:
        distribution: where the way begins.
        sample: the hard sample where it leads.
        temperature: divides the logits first; no derivative passes through it.
    """
    origin = jax.lax.stop_gradient(distribution.logits)
    tempered = distribution.with_logits(origin / jax.lax.stop_gradient(temperature))
    logits = tempered.halfway_logits(sample)
    return distribution.with_logits(logits + (distribution.logits - origin))
