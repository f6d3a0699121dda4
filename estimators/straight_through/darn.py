"""The DARN (1/2) estimator."""

from typing import Literal, Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient, replace_gradient, value_and_slope
from estimators.core.objective import Objective
from estimators.core.pytree import pytree, static
from estimators.core.validation import check_choice
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class DARN(Estimator[Bernoulli | Categorical, Objective]):
    r"""The DARN or 1/2 estimator: the score times a first-order expansion of f about a centre c.

    Per variable d, $(f'_d \cdot (D_d - c)) \nabla \log q(D_d)$ with c = 1/2 (1/K for K classes).
    With `expansion="sample"`, f' is taken at the sample D: unbiased for every quadratic or
    multilinear f of Bernoulli variables. With `expansion="half"`, f' is taken at c: unbiased only
    for separable quadratics. Gregor et al. 2014 (arXiv:1310.8499), as presented by Gu et al. 2016
    (arXiv:1511.05176), section 4.2, and by Jang et al. 2017 (arXiv:1611.01144), section 3.2,
    respectively.

    Args:
        expansion: "sample" or "half".
    """

    expansion: Literal["sample", "half"] = static(default="sample")

    differentiates = True
    paper = "gregor2014"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation at the sample, and one at the centre if f is expanded there."""
        return 1 if self.expansion == "sample" else 2

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with both expansions."""
        return (cls("sample"), cls("half"))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the sample, with the derivative of the expansion."""
        sample = distribution.sample(key)
        centre = 1 / distribution.class_shape[1]
        step = sample - centre

        def stand_in(distribution: Discrete) -> jax.Array:
            # Its derivative is D_d - c times the score of variable d: a rank-one Jacobian per
            # variable.
            return step * distribution.log_probs(sample)

        if self.expansion == "sample":
            return f(replace_gradient(sample, stand_in(distribution)))
        _, slope = value_and_slope(f)(jnp.full_like(sample, centre))
        (gradient,) = jax.vjp(stand_in, distribution)[1](slope)
        return attach_gradient(f(sample), distribution, gradient)

    def check(self) -> None:
        """Raise for an unknown expansion."""
        check_choice("DARN expansion", self.expansion, ("sample", "half"))
