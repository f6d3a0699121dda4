"""The leave-one-out baseline."""

import jax

from estimators.core.averages import deviations
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.score_function.baseline import Baseline


@pytree
class LeaveOneOut(Baseline):
    r"""The baseline of each of n samples is the mean of f over the others.

    $\frac{1}{n} \sum_i (f_i - \frac{1}{n-1} \sum_{j \ne i} f_j) \nabla \log q(z_i)$, also called
    RLOO, LOORF or VarGrad. Unbiased: a sample's baseline does not depend on it. Kool et al. 2019
    (Buy 4 REINFORCE samples, get a baseline for free); Salimans and Knowles 2014.

    Args:
        num_samples: n, at least two.
    """

    num_samples: int = static()

    paper = "kool2019"

    def num_evaluations(self) -> int:
        """Return n."""
        return self.num_samples

    def signal(self, values: jax.Array, parameters: jax.Array) -> jax.Array:
        """Return each value minus the mean of the others."""
        n = self.num_samples
        return deviations(values) * (n / (n - 1))

    def check(self) -> None:
        """Raise unless there are at least two samples."""
        check_count("LeaveOneOut num_samples", self.num_samples, 2)
