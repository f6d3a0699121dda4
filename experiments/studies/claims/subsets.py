"""Claims about estimators of subsets, enumerated: SIMPLE and the second order."""

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    SIMPLE,
    Categorical,
    Estimator,
    ReinMax,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
)
from experiments.problems.toy import Subsets
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below
from experiments.studies.claims.outcomes import Enumeration, Outcomes, apart, number
from experiments.studies.claims.subset_laws import conditional, marginals

LOGITS = np.array([0.1, -0.1, 0.6, 0.1, -0.5, 0.4])
"""Logits of six items."""

_TOY = Subsets(6, 3)
_EXACT = below(1e-4, effect=1e-4)
_BIASED = above(0.01, effect=0.01)


def _weights(z: jax.Array) -> jax.Array:
    return jnp.linspace(-1.0, 1.5, len(z), dtype=z.dtype)


def linear(z: jax.Array) -> jax.Array:
    """Return a weighted sum of the entries of z."""
    return z @ _weights(z)


def _quadratic(z: jax.Array) -> jax.Array:
    return linear(z) ** 2 + z @ jnp.roll(z, 1) * 0.5


def _cubic(z: jax.Array) -> jax.Array:
    return (linear(z) - 0.5) ** 3


def _of_toy(z: jax.Array) -> jax.Array:
    return _TOY.f(z, z)  # logits do not enter


def _exactly(scale: Scale) -> Enumeration:
    """Return 3 of 6 items, enumerated."""
    del scale
    return Enumeration(conditional(LOGITS))


def _marginals() -> Estimate:
    """Return how far the marginal probabilities are from the enumerated ones."""
    law = conditional(LOGITS)
    return apart(np.asarray(law.mean), marginals(law))


def _halves(exactly: Enumeration) -> Estimate:
    """Return how far the second-order form is from a mean of SIMPLE and the score times a slope."""
    law = conditional(LOGITS)
    states = law.states()
    score = np.asarray(states) - np.asarray(law.mean)
    slopes = np.asarray(jax.vmap(jax.grad(_cubic))(states))
    sloped = score * np.sum(score * slopes, -1, keepdims=True)
    simple = exactly(SIMPLE(), _cubic).gradients
    return apart(exactly(SecondOrderStraightThrough(), _cubic).gradients, (simple + sloped) / 2)


def _one_of(first: Estimator, second: Estimator) -> Estimate:
    """Return how far an estimator of subsets of one is from one of classes."""
    of_subset = Outcomes(first, conditional(LOGITS, 1), _cubic)
    of_class = Outcomes(second, Categorical(jnp.asarray(LOGITS, jnp.float32)), _cubic)
    # Subsets are enumerated in lexicographic order, so that the first item comes last.
    return apart(of_subset.gradients[::-1], of_class.gradients)


_AHMED = "Ahmed et al. 2023"

STUDIES = (
    ClaimStudy(
        "subset-order",
        "straight-through estimators of 3 of 6 items, all 20 subsets",
        _exactly,
        (
            Claim(
                "The marginal probabilities of a subset are exact",
                f"{_AHMED}, section 4",
                "largest difference from enumerated marginals",
                lambda _: _marginals(),
                _EXACT,
            ),
            Claim(
                "SIMPLE is unbiased for a linear f",
                f"{_AHMED}, section 3",
                "relative bias of SIMPLE, linear f",
                lambda exactly: number(exactly(SIMPLE(), linear).bias),
                _EXACT,
            ),
            Claim(
                "SIMPLE has zero variance for a linear f",
                f"{_AHMED}, section 3",
                "variance of SIMPLE over the squared gradient, linear f",
                lambda exactly: number(exactly(SIMPLE(), linear).variance),
                below(1e-6, effect=1e-6),
            ),
            Claim(
                "SIMPLE is biased on its own toy, whose f is linear on the subsets",
                "derived",
                "relative bias of SIMPLE on its toy",
                lambda exactly: number(exactly(SIMPLE(), _of_toy).bias),
                _BIASED,
            ),
            Claim(
                "Straight-through of second order is unbiased for quadratic f of a subset",
                "derived",
                "relative bias of second order, quadratic f",
                lambda exactly: number(exactly(SecondOrderStraightThrough(), _quadratic).bias),
                _EXACT,
            ),
            Claim(
                "Straight-through of second order is biased for cubic f of a subset",
                "derived",
                "relative bias of second order, cubic f",
                lambda exactly: number(exactly(SecondOrderStraightThrough(), _cubic).bias),
                _BIASED,
            ),
            Claim(
                "Straight-through of second order is the mean of SIMPLE and of the score times a "
                "slope",
                "derived",
                "largest difference from the mean of the two",
                _halves,
                _EXACT,
            ),
            Claim(
                "On quadratics straight-through of second order has more variance than SIMPLE",
                "derived",
                "log variance ratio, second order over SIMPLE",
                lambda exactly: exactly.log_ratio(
                    SecondOrderStraightThrough(), SIMPLE(), _quadratic
                ),
                above(0.0, effect=0.1),
            ),
            Claim(
                "On quadratics straight-through of second order has less variance than the score "
                "function",
                "derived",
                "log variance ratio, second order over the score function",
                lambda exactly: exactly.log_ratio(
                    SecondOrderStraightThrough(), ScoreFunction(), _quadratic
                ),
                below(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "subsets-of-one",
        "estimators of one of 6 items beside those of a class, all samples",
        lambda scale: None,
        (
            Claim(
                "With k = 1 SIMPLE is straight-through",
                "derived",
                "largest difference, SIMPLE and straight-through",
                lambda _: _one_of(SIMPLE(), StraightThrough()),
                _EXACT,
            ),
            Claim(
                "With k = 1 second order of subsets is ReinMax at temperature 1",
                "derived",
                "largest difference, second order and ReinMax",
                lambda _: _one_of(SecondOrderStraightThrough(), ReinMax()),
                _EXACT,
            ),
        ),
    ),
)
