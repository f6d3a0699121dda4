"""The moving-average baseline."""

from typing import Any

import jax
import jax.numpy as jnp

from estimators.core.pytree import averaged, counter, pytree
from estimators.core.validation import check_between, check_finite
from estimators.score_function.baseline import Baseline


@pytree
class MovingAverage(Baseline):
    r"""A moving average of past values of f, one for all examples.

    `value` is a leaf. Its tuning gradient is that of $\frac12 (\mathrm{value} - f)^2$, so plain
    gradient descent on it at rate `1 - decay` is exactly the moving average, and only of past
    batches. Unbiased for that reason: an average that held the current f would not be. That is so
    where the loss is a mean over the batch; `mean_contributions` makes it so where it is a sum, or
    scaled, or where several layers share the baseline. Williams 1992.

    Args:
        decay: weight of the past in each update, in [0, 1).
        value: the average so far.
        count: counts what was summed in the gradient of `value`.
    """

    decay: Any
    value: Any = averaged(default=0.0)
    count: Any = counter(default=0.0)

    paper = "williams1992"

    def num_evaluations(self) -> int:
        """One."""
        return 1

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return the values less the average."""
        del parameters
        return values - self.value

    def tuning(self, values: jax.Array, parameters: jax.Array) -> Any:
        """Return the gradient of half the squared error in `value`; zero in `decay`."""
        del parameters
        error = self.value - values.mean()
        return MovingAverage(jnp.zeros_like(self.decay), error, jnp.ones_like(self.count))

    def check(self) -> None:
        """Raise unless the decay lies in [0, 1) and the average is a number."""
        check_between("MovingAverage decay", self.decay, 0, 1)
        check_finite("MovingAverage value", self.value)
