"""The moving-average baseline."""

from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.pytree import Scalar, averaged, counter, pytree
from estimators.core.validation import check_between, check_finite
from estimators.score_function.baseline import Baseline


@pytree
class MovingAverage(Baseline):
    r"""A moving average of past values of f, common to all examples.

    The tuning gradient of the leaf `value` is that of $\frac12 (\mathrm{value} - f)^2$, so plain
    gradient descent at rate `1 - decay`, on the gradient after `mean_contributions`, is exactly the
    moving average over past batches: `estimax.tuner` does so. It is unbiased, since it does not
    include the current f. After any other update `count` is not zero, which is an error. Williams
    1992.

    Args:
        decay: weight of the past in each update, in [0, 1).
        value: the current average.
        count: counts the terms in the gradient of `value`.
    """

    decay: Scalar
    value: Scalar = averaged(default=0.0)
    count: Scalar = counter(default=0.0)

    paper = "williams1992"

    def num_evaluations(self) -> int:
        """Return one."""
        return 1

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the values minus the average."""
        return values - self.value

    def tuning(self, values: jax.Array, parameters: jax.Array) -> Self:
        """Return the gradient of half the squared error of `value`; zero in `decay`."""
        error = self.value - values.mean()
        return type(self)(jnp.zeros_like(self.decay), error, jnp.ones_like(self.count))

    def check(self) -> None:
        """Raise unless the decay is in [0, 1) and the average is finite."""
        check_between("MovingAverage decay", self.decay, 0, 1)
        check_finite("MovingAverage value", self.value)
