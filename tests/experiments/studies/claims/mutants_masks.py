"""Mutants of the claims about masks: gates of a classifier, and features that explain."""

import jax.numpy as jnp

from estimators import (
    SIMPLE,
    PlackettLuceSubset,
    ReinMax,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
    Subset,
)
from experiments.problems import Explain, Gates
from tests.experiments.studies.claims.broken import Mutant, as_another, scaled


def larger_alone(self, params, estimator, key, batch):
    """A loss that is larger if images do not share their gates."""
    value = _loss(self, params, estimator, key, batch)
    return value if self.shared else 1.1 * value


def bent(self, params, gates, images):
    """Outputs that are concave along each gate."""
    return _classify(self, params, jnp.sin(gates * jnp.pi / 2), images)


def all_features(self, sample):
    """A mask that hides nothing, of choices with replacement."""
    return jnp.ones(10) if self.law == "Categorical" else sample


_loss, _classify = Gates.loss, Gates.classify

GATES = [
    Mutant(
        "twelve-gates",
        {
            (Gates, "loss"): larger_alone,
            (ScoreFunction, "estimate"): as_another(lambda _: StraightThrough()),
        },
        (
            "largest difference of exact gradients, own masks and a shared one",
            "log variance ratio, own masks over a shared one, plus log 4",
        ),
    ),
    Mutant(
        "twelve-gates",
        {(Gates, "classify"): bent},
        ("least gap of a gate's slopes and the change of f between them",),
    ),
    Mutant(
        "twelve-gates",
        {(ReinMax, "estimate"): as_another(lambda _: StraightThrough())},
        ("log ratio of biases on twelve gates, ReinMax over straight-through",),
    ),
    Mutant(
        "twelve-gates",
        {(StraightThrough, "estimate"): as_another(lambda _: ScoreFunction())},
        ("relative bias of straight-through, twelve gates",),
    ),
]

EXPLANATIONS = [
    Mutant(
        "masks-of-features",
        {(SecondOrderStraightThrough, "estimate"): as_another(lambda _: SIMPLE())},
        (
            "log ratio of biases on masks, second order over SIMPLE",
            "log variance ratio on masks, second order over SIMPLE",
        ),
    ),
    Mutant(
        "masks-of-features",
        {(SIMPLE, "estimate"): as_another(lambda _: ScoreFunction())},
        ("relative bias of SIMPLE on masks",),
    ),
    Mutant(
        "masks-of-features",
        {(SecondOrderStraightThrough, "estimate"): scaled(SecondOrderStraightThrough, 1000.0)},
        ("log variance ratio on masks, second order over the score function",),
    ),
    Mutant(
        "masks-of-features",
        {(PlackettLuceSubset, "log_prob"): lambda law, z: Subset(law.logits, law.k).log_prob(z)},
        ("relative distance of the gradients of the two laws on masks",),
    ),
    Mutant(
        "masks-of-features",
        {(Explain, "mask"): all_features},
        ("chance of fewer than four features, less 0.496",),
    ),
]

MUTANTS = [*GATES, *EXPLANATIONS]
