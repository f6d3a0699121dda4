"""The ReinMax-Rao estimator."""

from typing import Self

import jax

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.gradients import replace_gradient
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_count, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.relaxations.rao_blackwell import mean_relaxed
from estimators.straight_through.halfway import halfway


@pytree
class ReinMaxRao(Estimator[Bernoulli | Categorical, Objective]):
    r"""ReinMax-Rao: ReinMax with the half step differentiated as in Gumbel-Rao.

    $f'(D) (2 \cdot \frac1K \sum_k J(y_k) / \tau - \frac12 J(p))$ with $y_k =
    \mathrm{softmax}((\theta' + G_k) / \tau)$, $\theta' = \log \frac{p + D}{2}$ and $G_k$ drawn
    given $\arg\max(\theta' + G_k) = D$. The averaged term is straight-through Gumbel-softmax at
    $\theta'$. It is not a conditional mean of `ReinMax`, which is already a function of D, so its
    variance need not be lower than ReinMax's, and it is exact neither for quadratics nor for linear
    f, as quadrature shows. Biased. Wang and Bui 2026 (arXiv:2603.08257), from the authors'
    published code, since the text was unavailable.

    Args:
        temperature: $\tau > 0$.
        num_samples: K, at least 1.
    """

    temperature: Scalar = 1.0
    num_samples: int = static(default=10)

    differentiates = True
    paper = "wang2026"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with a low and a high temperature."""
        return (cls(0.5), cls(1.0))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative of the relaxed Heun step."""
        keys = sample_keys(key, 1 + self.num_samples)
        sample = distribution.sample(keys[0])
        middle = halfway(distribution, sample)
        soft = mean_relaxed(keys[1:], middle, sample, self.temperature)
        return f(replace_gradient(sample, 2 * soft - distribution.mean / 2))

    def check(self) -> None:
        """Raise unless the temperature is positive and there is at least one sample."""
        check_positive("ReinMaxRao temperature", self.temperature)
        check_count("ReinMaxRao num_samples", self.num_samples, 1)
