"""The ReinMax-Rao estimator."""

from typing import Any, Self

import jax

from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import replace_gradient
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.relaxations.rao_blackwell import mean_relaxed
from estimators.straight_through.halfway import halfway


@pytree
class ReinMaxRao(Estimator):
    r"""ReinMax-Rao: ReinMax whose half step is differentiated as Gumbel-Rao would.

    $f'(D) (2 \cdot \frac1K \sum_k J(y_k) / \tau - \frac12 J(p))$ with $y_k =
    \mathrm{softmax}((\theta' + G_k) / \tau)$, $\theta' = \log \frac{p + D}{2}$ and $G_k$ drawn
    given $\arg\max(\theta' + G_k) = D$. What is averaged is straight-through Gumbel-softmax at
    $\theta'$; it is no conditional mean of `ReinMax`, which is a function of D already. So no
    theorem says that its variance is less than ReinMax's, and it is not exact for quadratics, nor
    for linear f, as quadrature shows. Biased. Wang and Bui 2026 (arXiv:2603.08257): the formula was
    read from the authors' published code, the text itself was unavailable.

    Args:
        temperature: $\tau > 0$.
        num_samples: K, at least 1.
    """

    temperature: Any = 1.0
    num_samples: int = static(default=10)

    distributions = (Bernoulli, Categorical)
    differentiates = True
    paper = "wang2026"

    @property
    def unbiased(self) -> Unbiased:
        """Biased."""
        return "no"

    def evaluations(self, distribution: Distribution) -> int:
        """One."""
        del distribution
        return 1

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A low temperature and a high one."""
        return (cls(0.5), cls(1.0))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative of the relaxed Heun's step."""
        assert isinstance(distribution, Discrete)
        keys = sample_keys(key, 1 + self.num_samples)
        sample = distribution.sample(keys[0])
        middle = halfway(distribution, sample)
        soft = mean_relaxed(keys[1:], middle, sample, self.temperature)
        return f(replace_gradient(sample, 2 * soft - distribution.mean / 2))

    def check(self) -> None:
        """Raise unless the temperature is positive, and there is at least one sample."""
        check_positive("ReinMaxRao temperature", self.temperature)
        check_count("ReinMaxRao num_samples", self.num_samples, 1)
