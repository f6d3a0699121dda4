"""The baselines of group-relative policy optimisation."""

from typing import Literal

import jax
import jax.numpy as jnp

from estimators.core.averages import deviations
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_choice, check_count, check_positive
from estimators.score_function.baseline import Baseline


@pytree
class GroupMean(Baseline):
    r"""The baseline of n samples is their mean, their own included, as in GRPO.

    $\frac{1}{n} \sum_i a_i \nabla \log q(z_i)$ with $a_i = f_i - \bar f$: the gradient times
    $(n - 1) / n$, for every f (Liu et al. 2025, Dr. GRPO, arXiv:2503.20783). `LeaveOneOut` is the
    same without this factor.

    With `normalise`, $a_i = (f_i - \bar f) / (\mathrm{std} + \epsilon)$, where the standard
    deviation has n - 1 degrees of freedom (Shao et al. 2024, GRPO, arXiv:2402.03300). Biased: for f
    with two values the direction is exact, but each distribution of a batch is scaled by a factor
    of its own, which changes the direction of the sum; for other f the direction is biased too.

    Only the part of the gradient that goes through sampling is scaled. A group whose values are all
    equal has the gradient zero.

    Args:
        num_samples: n, at least two.
        normalise: whether to divide by the standard deviation of the group.
        epsilon: added to the standard deviation, in the units of f.
    """

    num_samples: int = static()
    normalise: bool = static(default=False)
    epsilon: Scalar = 1e-4

    paper = "shao2024"

    def num_evaluations(self) -> int:
        """Return n."""
        return self.num_samples

    @property
    def unbiased(self) -> Literal["no", "up to scale"]:
        """Unbiased up to the factor (n - 1) / n, but not if divided by a standard deviation."""
        return "no" if self.normalise else "up to scale"

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return each value minus the mean of all, possibly over their standard deviation."""
        from_mean = deviations(values)
        if not self.normalise:
            return from_mean
        largest = jnp.max(abs(from_mean))  # whose square might overflow
        scaled = from_mean / jnp.where(largest > 0, largest, 1)
        spread = largest * jnp.sqrt((scaled**2).sum() / (self.num_samples - 1))
        return from_mean / (spread + jnp.asarray(self.epsilon, spread.dtype))

    def check(self) -> None:
        """Raise unless there are at least two samples and epsilon is positive."""
        check_count("GroupMean num_samples", self.num_samples, 2)
        check_choice("GroupMean normalise", self.normalise, (True, False))
        check_positive("GroupMean epsilon", self.epsilon)
