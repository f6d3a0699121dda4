"""The slope-annealed straight-through estimator."""

from typing import Literal, Self

import jax

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_choice, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.straight_through.hard_squash import hard_squash


@pytree
class SlopeAnnealedStraightThrough(Estimator[Bernoulli | Categorical, Objective]):
    r"""Straight-through with the derivative of a steeper sigmoid: $f'(D)\, \nabla \sigma(a \phi)$.

    The slope a is raised during training; the forward pass samples from the unchanged logits. The
    backward function is the sigmoid (softmax for categorical variables), or the hard sigmoid
    $\max(0, \min(1, (a \phi + 1) / 2))$ (of each class's log-odds). Slope 1 with the sigmoid is
    `StraightThrough`. Biased. Chung et al. 2017 (arXiv:1609.01704), with a deterministic forward
    step instead of a sample.

    Args:
        slope: a > 0.
        backward: "sigmoid" or "hard_sigmoid".
    """

    slope: Scalar
    backward: Literal["sigmoid", "hard_sigmoid"] = static(default="sigmoid")

    differentiates = True
    paper = "chung2017"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with both backward functions."""
        return (cls(2.0), cls(2.0, "hard_sigmoid"))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative of the steeper function."""
        slope = jax.lax.stop_gradient(self.slope)
        steep = distribution.with_logits(slope * distribution.logits)
        soft = steep.mean if self.backward == "sigmoid" else hard_squash(steep)
        return f(replace_gradient(distribution.sample(key), soft))

    def check(self) -> None:
        """Raise unless the slope is positive and the backward function is known."""
        check_positive("SlopeAnnealedStraightThrough slope", self.slope)
        name = "SlopeAnnealedStraightThrough backward"
        check_choice(name, self.backward, ("sigmoid", "hard_sigmoid"))
