"""Claims about the two laws of subsets, and about relaxed top k, which tends to one of them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Estimator, PlackettLuceSubset, RelaxedTopK, Subset
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import number
from experiments.studies.claims.quantities import share

SPREAD = np.array([2.0, -1.0, 0.4, 0.0, -2.2, 1.1, 0.3])
"""Logits of seven items, for which the two laws differ."""

_EXACT = below(1e-4, effect=1e-4)
_DIFFERENT = above(0.01, effect=0.01)


def conditional(logits: np.ndarray, k: int = 3) -> Subset:
    """Return the conditional Bernoulli law of k items."""
    return Subset(jnp.asarray(logits, jnp.float32), k)


def perturbed(logits: np.ndarray, k: int = 3) -> PlackettLuceSubset:
    """Return the law of the k largest perturbed logits."""
    return PlackettLuceSubset(jnp.asarray(logits, jnp.float32), k)


def marginals(law: Subset | PlackettLuceSubset) -> np.ndarray:
    """Return the probability of each item to be in the subset."""
    states = law.states()
    chances = np.exp(np.asarray(jax.jit(jax.vmap(law.log_prob))(states), np.float64))
    return chances @ np.asarray(states)


def _first(law: Callable[[np.ndarray], Subset | PlackettLuceSubset]) -> float:
    """Return the probability that the first of seven items is in the subset."""
    return float(marginals(law(SPREAD))[0])


def _law_distance(logits: np.ndarray, k: int) -> Estimate:
    """Return the total variation of the two laws of one array of logits."""
    laws = conditional(logits, k), perturbed(logits, k)
    states = laws[0].states()
    first, second = (np.exp(np.asarray(jax.jit(jax.vmap(law.log_prob))(states))) for law in laws)
    return number(np.abs(first - second).sum() / 2)


class _TopK(NamedTuple):
    """Relaxed top k at two temperatures, and the hard subsets of the same keys, `[n, items]`."""

    warm: np.ndarray
    cold: np.ndarray
    straight: np.ndarray


def _top_k(scale: Scale) -> _TopK:
    law = perturbed(SPREAD)
    keys = jax.random.split(jax.random.key(0), scale.samples(1 << 15))

    def samples(estimator: Estimator) -> np.ndarray:
        # The estimate of a coordinate is its value at the sample that f is called at.
        def each(key: jax.Array) -> jax.Array:
            places = jnp.arange(len(SPREAD))
            return jax.vmap(lambda i: estimator(key, law, lambda z: z[i]))(places)

        return np.asarray(jax.jit(jax.vmap(each))(keys), np.float64)

    return _TopK(
        samples(RelaxedTopK(0.5)),
        samples(RelaxedTopK(0.02)),
        samples(RelaxedTopK(0.5, straight_through=True)),
    )


_XIE = "Xie and Ermon 2019"

STUDIES = (
    ClaimStudy(
        "subset-laws",
        "total variation of conditional Bernoulli and Plackett-Luce subsets of 7 items",
        lambda scale: None,
        (
            Claim(
                "The k largest perturbed logits do not have the conditional Bernoulli law",
                "derived",
                "total variation, k = 3",
                lambda _: _law_distance(SPREAD, 3),
                _DIFFERENT,
            ),
            Claim(
                "Leaving out one item, the two laws differ too",
                "derived",
                "total variation, k = 6",
                lambda _: _law_distance(SPREAD, 6),
                _DIFFERENT,
            ),
            Claim(
                "With k = 1 the two laws of subsets are equal",
                "derived",
                "total variation, k = 1",
                lambda _: _law_distance(SPREAD, 1),
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
                lambda found: sample_mean(found.cold[:, 0] - _first(perturbed)),
                between(-0.015, 0.015),
            ),
            Claim(
                "It is not the probability under the conditional Bernoulli law",
                "derived",
                "mean of the first item, less its conditional Bernoulli marginal",
                lambda found: sample_mean(found.cold[:, 0] - _first(conditional)),
                above(0.0, effect=0.01),
            ),
            Claim(
                "The straight-through form evaluates f at subsets of the Plackett-Luce law",
                f"{_XIE}, section 3",
                "mean of the first item, straight-through, less its marginal",
                lambda found: sample_mean(found.straight[:, 0] - _first(perturbed)),
                between(-0.015, 0.015),
            ),
        ),
    ),
)
