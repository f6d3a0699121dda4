"""The average of independent estimates."""

import zlib
from typing import Any, Self

import jax

from estimators.core.averages import mean
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, fact
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_count
from estimators.score_function.score_function import ScoreFunction

# A separate stream, since the inner estimator folds small numbers into the same key.
_STREAM = zlib.crc32(b"Average")


@pytree
class Average(Estimator[Any, Any]):
    r"""The mean of n independent estimates, to compare estimators at equal cost.

    It has the mean of the inner estimator, 1/n of its variance and n times its evaluations. The
    first estimate uses the key itself, as the inner estimator alone would.

    Args:
        estimator: the inner estimator; not another Average.
        num_samples: n.
    """

    estimator: Estimator[Any, Any]
    num_samples: int = static()

    distributions = fact(lambda self: self.estimator.distributions)
    needs_bound = fact(lambda self: self.estimator.needs_bound)
    unbiased = fact(lambda self: self.estimator.unbiased)
    differentiates = fact(lambda self: self.estimator.differentiates)
    continuous_passes = fact(lambda self: self.num_samples * self.estimator.continuous_passes)
    tuning = fact(lambda self: self.estimator.tuning)
    paper = fact(lambda self: self.estimator.paper)

    def evaluations(self, distribution: Distribution) -> int:
        """The number of samples times those of the inner estimator."""
        return self.num_samples * self.estimator.evaluations(distribution)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return one variant: the plain score function with two samples."""
        return (cls(ScoreFunction(), 2),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of the estimates."""
        further = sample_keys(jax.random.fold_in(key, _STREAM), self.num_samples)
        keys = further.at[0].set(key)
        return mean(jax.vmap(lambda key: self.estimator(key, distribution, f))(keys))

    def check(self) -> None:
        """Raise unless there is an inner estimator, not an Average, and at least one sample."""
        check_count("Average num_samples", self.num_samples, 1)
        if not isinstance(self.estimator, Estimator) or isinstance(self.estimator, Average):
            raise TypeError(
                f"Average takes an estimator that is not an Average, not {self.estimator!r}"
            )
        self.estimator.check()
