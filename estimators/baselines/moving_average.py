"""The moving-average baseline."""

from typing import Any

import jax

from estimators.core.baseline import Baseline
from estimators.core.pytree import averaged, pytree
from estimators.core.validation import check_between, check_finite


@pytree
class MovingAverage(Baseline):
    r"""A moving average of past values of f, one for all examples.

    `value` is a leaf. Its tuning gradient is that of $\frac12 (\mathrm{value} - f)^2$, so plain
    gradient descent on it at rate `1 - decay`, after a mean over the batch, is exactly the moving
    average, and only of past batches. Unbiased for that reason: an average that held the current f
    would not be. Williams 1992.

    Args:
        decay: weight of the past in each update, in [0, 1).
        value: the average so far.
    """

    decay: Any
    value: Any = averaged(default=0.0)

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
        return MovingAverage(jax.numpy.zeros_like(self.decay), self.value - values.mean())

    def check(self) -> None:
        """Raise unless the decay lies in [0, 1) and the average is a number."""
        check_between("MovingAverage decay", self.decay, 0, 1)
        check_finite("MovingAverage value", self.value)
