"""Claims about subsets: their two laws, SIMPLE, second order, relaxed top k, implicit MLE."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    SIMPLE,
    Categorical,
    Estimator,
    ImplicitMLE,
    PlackettLuceSubset,
    ReinMax,
    RelaxedTopK,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
    Subset,
)
from experiments.problems.toy import Subsets
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Enumeration, Outcomes, apart, number
from experiments.studies.claims.quantities import share

_TOY = Subsets(6, 3)
_LOGITS = np.array([0.1, -0.1, 0.6, 0.1, -0.5, 0.4])
_SPREAD = np.array([2.0, -1.0, 0.4, 0.0, -2.2, 1.1, 0.3])
_EXACT = below(1e-4, effect=1e-4)
_BIASED = above(0.01, effect=0.01)


def _weights(z: jax.Array) -> jax.Array:
    return jnp.linspace(-1.0, 1.5, len(z), dtype=z.dtype)


def _linear(z: jax.Array) -> jax.Array:
    return z @ _weights(z)


def _quadratic(z: jax.Array) -> jax.Array:
    return _linear(z) ** 2 + z @ jnp.roll(z, 1) * 0.5


def _cubic(z: jax.Array) -> jax.Array:
    return (_linear(z) - 0.5) ** 3


def _of_toy(z: jax.Array) -> jax.Array:
    return _TOY.f(z, z)  # logits do not enter


def _exactly(scale: Scale) -> Enumeration:
    """Return 3 of 6 items, enumerated."""
    del scale
    return Enumeration(_of_items(_LOGITS))


def _of_items(logits: np.ndarray, k: int = 3) -> Subset:
    return Subset(jnp.asarray(logits, jnp.float32), k)


def _perturbed(logits: np.ndarray, k: int = 3) -> PlackettLuceSubset:
    return PlackettLuceSubset(jnp.asarray(logits, jnp.float32), k)


def _marginals() -> Estimate:
    """Return how far the marginal probabilities are from the enumerated ones."""
    law = _of_items(_LOGITS)
    return apart(np.asarray(law.mean), _enumerated(law))


def _enumerated(law: Subset | PlackettLuceSubset) -> np.ndarray:
    """Return the probability of each item to be in the subset."""
    states = law.states()
    chances = np.exp(np.asarray(jax.jit(jax.vmap(law.log_prob))(states), np.float64))
    return chances @ np.asarray(states)


def _first(law: Callable[[np.ndarray], Subset | PlackettLuceSubset]) -> float:
    """Return the probability that the first of seven items is in the subset."""
    return float(_enumerated(law(_SPREAD))[0])


def _halves(exactly: Enumeration) -> Estimate:
    """Return how far the second-order form is from a mean of SIMPLE and the score times a slope."""
    law = _of_items(_LOGITS)
    states = law.states()
    score = np.asarray(states) - np.asarray(law.mean)
    slopes = np.asarray(jax.vmap(jax.grad(_cubic))(states))
    sloped = score * np.sum(score * slopes, -1, keepdims=True)
    simple = exactly(SIMPLE(), _cubic).gradients
    return apart(exactly(SecondOrderStraightThrough(), _cubic).gradients, (simple + sloped) / 2)


def _one_of(first: Estimator, second: Estimator) -> Estimate:
    """Return how far an estimator of subsets of one is from one of classes."""
    of_subset = Outcomes(first, _of_items(_LOGITS, 1), _cubic)
    of_class = Outcomes(second, Categorical(jnp.asarray(_LOGITS, jnp.float32)), _cubic)
    # Subsets are enumerated in lexicographic order, so that the first item comes last.
    return apart(of_subset.gradients[::-1], of_class.gradients)


def _law_distance(logits: np.ndarray, k: int) -> Estimate:
    """Return the total variation of the two laws of one array of logits."""
    laws = _of_items(logits, k), _perturbed(logits, k)
    states = laws[0].states()
    first, second = (np.exp(np.asarray(jax.jit(jax.vmap(law.log_prob))(states))) for law in laws)
    return number(np.abs(first - second).sum() / 2)


class _TopK(NamedTuple):
    """Relaxed top k at two temperatures, and the hard subsets of the same keys, `[n, items]`."""

    warm: np.ndarray
    cold: np.ndarray
    straight: np.ndarray


def _top_k(scale: Scale) -> _TopK:
    law = _perturbed(_SPREAD)
    keys = jax.random.split(jax.random.key(0), scale.samples(1 << 15))

    def samples(estimator: Estimator) -> np.ndarray:
        # The estimate of a coordinate is its value at the sample that f is called at.
        def each(key: jax.Array) -> jax.Array:
            places = jnp.arange(len(_SPREAD))
            return jax.vmap(lambda i: estimator(key, law, lambda z: z[i]))(places)

        return np.asarray(jax.jit(jax.vmap(each))(keys), np.float64)

    return _TopK(
        samples(RelaxedTopK(0.5)),
        samples(RelaxedTopK(0.02)),
        samples(RelaxedTopK(0.5, straight_through=True)),
    )


class _Implicit:
    """Gradients and samples of implicit MLE on a linear f of 3 of 7 items."""

    def __init__(self, scale: Scale):
        self._keys = jax.random.split(jax.random.key(1), scale.samples(1 << 15))

    def gradients(self, estimator: Estimator) -> np.ndarray:
        def loss(logits: jax.Array, key: jax.Array) -> jax.Array:
            return estimator(key, Subset(logits, 3), _linear)

        each = jax.vmap(jax.grad(loss), (None, 0))
        return np.asarray(jax.jit(each)(jnp.asarray(_SPREAD, jnp.float32), self._keys), np.float64)

    def shortfall(self, estimator: Estimator) -> Estimate:
        """Return 1 less the length of the mean along the true gradient."""
        states = _of_items(_SPREAD).states()

        def expected(logits: jax.Array) -> jax.Array:
            chances = jnp.exp(jax.vmap(Subset(logits, 3).log_prob)(states))
            return chances @ jax.vmap(_linear)(states)

        truth = np.asarray(
            jax.jit(jax.grad(expected))(jnp.asarray(_SPREAD, jnp.float32)), np.float64
        )
        return sample_mean(1 - self.gradients(estimator) @ truth / (truth @ truth))

    def errors(self, estimator: Estimator) -> np.ndarray:
        """Return the total difference of the marginals from those of the law, of 32 batches."""
        law = _of_items(_SPREAD)

        def sample(key: jax.Array) -> jax.Array:
            places = jnp.arange(len(_SPREAD))
            return jax.vmap(lambda i: estimator(key, law, lambda z: z[i]))(places)

        found = np.asarray(jax.jit(jax.vmap(sample))(self._keys), np.float64)
        means = found.reshape(32, -1, len(_SPREAD)).mean(1)
        return np.abs(means - np.asarray(law.mean)).sum(1)


def _of_marginals(step: float) -> Estimate:
    """Return how far a difference of marginal probabilities is from SIMPLE, relative to it."""
    slope = np.linspace(-1.0, 1.0, len(_LOGITS))
    moved = _of_items(_LOGITS - step * slope)
    difference = (np.asarray(_of_items(_LOGITS).mean) - np.asarray(moved.mean)) / step
    simple = Outcomes(SIMPLE(), _of_items(_LOGITS), lambda z: z @ jnp.asarray(slope, z.dtype))
    return apart(difference, simple.gradients[0])


_AHMED, _NIEPERT, _XIE = "Ahmed et al. 2023", "Niepert et al. 2021", "Xie and Ermon 2019"

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
                lambda exactly: number(exactly(SIMPLE(), _linear).bias),
                _EXACT,
            ),
            Claim(
                "SIMPLE has zero variance for a linear f",
                f"{_AHMED}, section 3",
                "variance of SIMPLE over the squared gradient, linear f",
                lambda exactly: number(exactly(SIMPLE(), _linear).variance),
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
    ClaimStudy(
        "subset-laws",
        "total variation of conditional Bernoulli and Plackett-Luce subsets of 7 items",
        lambda scale: None,
        (
            Claim(
                "The k largest perturbed logits do not have the conditional Bernoulli law",
                "derived",
                "total variation, k = 3",
                lambda _: _law_distance(_SPREAD, 3),
                _BIASED,
            ),
            Claim(
                "Leaving out one item, the two laws differ too",
                "derived",
                "total variation, k = 6",
                lambda _: _law_distance(_SPREAD, 6),
                _BIASED,
            ),
            Claim(
                "With k = 1 the two laws of subsets are equal",
                "derived",
                "total variation, k = 1",
                lambda _: _law_distance(_SPREAD, 1),
                _EXACT,
            ),
            Claim(
                "With equal logits the two laws of subsets are equal",
                "derived",
                "total variation, equal logits",
                lambda _: _law_distance(np.zeros(7), 3),
                _EXACT,
            ),
        ),
    ),
    ClaimStudy(
        "relaxed-top-k",
        "relaxed top 3 of 7 items at temperatures 0.5 and 0.02, 2^15 draws",
        _top_k,
        (
            Claim(
                "The entries of a relaxed top k add up to k",
                f"{_XIE}, section 3",
                "largest difference of the sum from 3",
                lambda found: number(np.abs(found.warm.sum(1) - 3).max()),
                _EXACT,
            ),
            Claim(
                "Entries of a relaxed top k can exceed 1",
                "derived",
                "share of samples with an entry above 1.01",
                lambda found: share(found.warm.max(1) > 1.01),
                above(0.01, effect=0.01),
            ),
            Claim(
                "At low temperature an item's mean is its Plackett-Luce probability",
                f"{_XIE}, section 3",
                "mean of the first item, less its Plackett-Luce marginal",
                lambda found: sample_mean(found.cold[:, 0] - _first(_perturbed)),
                between(-0.015, 0.015),
            ),
            Claim(
                "It is not the probability under the conditional Bernoulli law",
                "derived",
                "mean of the first item, less its conditional Bernoulli marginal",
                lambda found: sample_mean(found.cold[:, 0] - _first(_of_items)),
                above(0.0, effect=0.01),
            ),
            Claim(
                "The straight-through form evaluates f at subsets of the Plackett-Luce law",
                f"{_XIE}, section 3",
                "mean of the first item, straight-through, less its marginal",
                lambda found: sample_mean(found.straight[:, 0] - _first(_perturbed)),
                between(-0.015, 0.015),
            ),
        ),
    ),
    ClaimStudy(
        "implicit-mle",
        "implicit MLE on a linear f of 3 of 7 items, 2^15 gradients",
        _Implicit,
        (
            Claim(
                "With marginal probabilities for samples, implicit MLE tends to SIMPLE as lambda "
                "goes to 0",
                "derived",
                "largest difference from SIMPLE at lambda 0.01",
                lambda _: _of_marginals(0.01),
                below(0.02, effect=0.02),
            ),
            Claim(
                "At small lambda nearly all gradients of implicit MLE are zero",
                "Minervini et al. 2023, abstract",
                "share of zero gradients at lambda 0.01",
                lambda found: share(~found.gradients(ImplicitMLE(0.01)).any(1)),
                above(0.9, effect=0.05),
            ),
            Claim(
                "Implicit MLE with a long step is biased even for a linear f",
                "derived",
                "1 less the length along the truth, lambda 10",
                lambda found: found.shortfall(ImplicitMLE(10.0)),
                above(0.1, effect=0.1),
            ),
            Claim(
                "At temperature 1 sum-of-gamma noise is further from the law of subsets than "
                "Gumbel noise",
                f"derived, against {_NIEPERT}, section 3",
                "error of the marginals, sum of gamma less Gumbel",
                lambda found: sample_mean(
                    found.errors(ImplicitMLE(noise="sum_of_gamma")) - found.errors(ImplicitMLE())
                ),
                above(0.0, effect=0.01),
            ),
        ),
    ),
)
