"""The straight-through estimator."""

from typing import Literal, Self

import jax

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator, fact
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_choice
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.poisson import Poisson


@pytree
class StraightThrough(Estimator[Bernoulli | Categorical | Poisson, Objective]):
    r"""The straight-through estimator: f' at the hard sample times a surrogate derivative.

    With `derivative="mean"` that of the mean: $f'(D) J(p)$, exact for linear f; of counts
    $\lambda f'(x)$. With `derivative="identity"` that of the logits: $f'(D)$. Biased otherwise.
    Bengio et al. 2013 (arXiv:1308.3432).

    Args:
        derivative: "mean" or "identity".
    """

    derivative: Literal["mean", "identity"] = static(default="mean")

    distributions = fact(
        lambda self: (
            (Bernoulli, Categorical, Poisson)
            if self.derivative == "mean"
            else (Bernoulli, Categorical)
        )
    )
    differentiates = True
    paper = "bengio2013"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with both derivatives."""
        return (cls("mean"), cls("identity"))

    def estimate(self, key: jax.Array, distribution: Discrete | Poisson, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the surrogate derivative."""
        if self.derivative == "mean" or isinstance(distribution, Poisson):  # which has no logits
            soft = distribution.mean
        else:
            soft = distribution.logits
        return f(replace_gradient(distribution.sample(key), soft))

    def check(self) -> None:
        """Raise for an unknown derivative."""
        check_choice("StraightThrough derivative", self.derivative, ("mean", "identity"))
