"""The average of independent estimates."""

import dataclasses
import zlib
from typing import Self

import jax

from estimators.core.averages import mean
from estimators.core.distribution import Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.tuning import Tuning
from estimators.core.validation import check_count
from estimators.score_function.score_function import ScoreFunction

# A stream of its own: the estimator inside folds small numbers into the same key.
_STREAM = zlib.crc32(b"Average")


@pytree
class Average(Estimator):
    r"""The mean of n independent estimates, so that estimators compare at equal evaluations of f.

    Same mean as the estimator inside, 1/n of its variance, n times its evaluations. The first
    estimate uses the key itself, as the estimator alone would.

    Args:
        estimator: the estimator inside; not another Average.
        num_samples: n.
    """

    estimator: Estimator
    num_samples: int = static()

    @property
    def distributions(self) -> tuple[type[Distribution], ...]:
        """Those of the estimator inside."""
        return self.estimator.distributions

    @property
    def differentiates(self) -> bool:
        """As the estimator inside."""
        return self.estimator.differentiates

    @property
    def tuning(self) -> Tuning:
        """As the estimator inside."""
        return self.estimator.tuning

    @property
    def paper(self) -> str:
        """That of the estimator inside."""
        return self.estimator.paper

    @property
    def continuous_passes(self) -> int:
        """As many times those of the estimator inside as there are samples."""
        return self.num_samples * self.estimator.continuous_passes

    @property
    def unbiased(self) -> Unbiased:
        """As the estimator inside."""
        return self.estimator.unbiased

    def evaluations(self, distribution: Distribution) -> int:
        """As many times those of the estimator inside as there are samples."""
        return self.num_samples * self.estimator.evaluations(distribution)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """The plain score function at the cost of a pair."""
        return (cls(ScoreFunction(), 2),)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return the mean of the estimates."""
        further = sample_keys(jax.random.fold_in(key, _STREAM), self.num_samples)
        keys = further.at[0].set(key)
        return mean(jax.vmap(lambda key: self.estimator(key, distribution, f))(keys))

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Give the estimator inside the networks it learns; `key` is consumed."""
        return dataclasses.replace(self, estimator=self.estimator.initialise(key, distribution))

    def check(self) -> None:
        """Raise unless there is an estimator, no Average, and at least one sample."""
        check_count("Average num_samples", self.num_samples, 1)
        if not isinstance(self.estimator, Estimator) or isinstance(self.estimator, Average):
            raise TypeError(
                f"Average takes an estimator that is no Average, not {self.estimator!r}"
            )
        self.estimator.check()
