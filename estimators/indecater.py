"""The IndeCateR estimator."""

from typing import Self

import jax

from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.evaluate import evaluate_all
from estimators.core.gradients import attach_gradient
from estimators.core.local import local_gradient, num_alternatives, num_variables
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class IndeCateR(Estimator):
    r"""IndeCateR: every variable summed over, given n samples of the others drawn for it alone.

    $\sum_v \nabla q(z_i = v) \frac1n \sum_k f(z^{(i, k)}_{\ne i}, v)$ for each variable i: the
    CatLog-derivative trick for independent variables. Unbiased for every f; exact for one variable.
    Since no two variables share a sample, their gradients are independent: per coordinate the
    variance is that of `LocalExpectation` over n, without its correlation between variables.
    De Smet et al. 2023 (arXiv:2311.12569), theorem on independent variables; a sample's own value
    of variable i is one of those summed over, so f is evaluated n K times for each variable.

    Args:
        num_samples: n for each variable, at least 1.
    """

    num_samples: int = static(default=1)

    distributions = (Bernoulli, Categorical)
    differentiates = False
    paper = "desmet2023"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One for each value of each variable in each of its samples."""
        assert isinstance(distribution, Discrete)
        values = 1 + num_alternatives(distribution)
        return self.num_samples * num_variables(distribution) * values

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """With one sample, and with two."""
        return (cls(1), cls(2))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of f at the samples, the local expectations' mean attached."""
        assert isinstance(distribution, Discrete)
        keys = sample_keys(key, self.num_samples * num_variables(distribution))
        samples = jax.vmap(distribution.sample)(keys)
        values = evaluate_all(f, samples)

        def rows(array):
            return array.reshape(self.num_samples, -1, *array.shape[1:])

        def gradient(samples, values):
            return local_gradient(distribution, samples, values, f)

        gradients = jax.vmap(gradient)(rows(samples), rows(values))
        mean = jax.tree.map(lambda each: each.mean(0), gradients)
        return attach_gradient(values.mean(), distribution, mean)

    def check(self) -> None:
        """Raise unless there is at least one sample."""
        check_count("IndeCateR num_samples", self.num_samples, 1)
