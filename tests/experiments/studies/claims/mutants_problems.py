"""Mutants of the claims about problems that discrete gradients are for."""

from estimators import (
    MVE,
    SIMPLE,
    Categorical,
    Exact,
    ReinMax,
    SecondOrderStraightThrough,
    StraightThrough,
)
from experiments.problems import Experts, quantised
from tests.experiments.studies.claims.broken import Mutant, as_another, scaled

_ORDER = "log ratio of biases of experts 0.4 and 0.1 apart, less that of its order"


def other_order(cls):
    """The estimator of the other order."""
    others = {StraightThrough: ReinMax, SIMPLE: SecondOrderStraightThrough}
    others |= {second: first for first, second in others.items()}
    # Not by its estimate, which may be broken too.
    right = others[cls].estimate
    return lambda self, key, distribution, f: right(others[cls](), key, distribution, f)


def drawn(self, logits):
    """A law of the choice that is drawn, for every router."""
    return Categorical(logits)


def unweighted(self, logits, outputs, choice):
    """Outputs without probabilities, for every router."""
    return choice @ outputs


def weighted(self, logits, outputs, choice):
    """The logits of the router in f, for every router."""
    return (choice + logits) @ outputs


EXPERTS = [
    Mutant(
        "router-order",
        {(cls, "estimate"): other_order(cls) for cls in (StraightThrough, ReinMax)},
        (f"{_ORDER}, straight-through", f"{_ORDER}, ReinMax"),
    ),
    Mutant(
        "router-order",
        {(cls, "estimate"): other_order(cls) for cls in (SIMPLE, SecondOrderStraightThrough)},
        (f"{_ORDER}, SIMPLE", f"{_ORDER}, second order"),
    ),
    Mutant(
        "softmax-weighted-router",
        {(Experts, "mixed"): weighted},
        ("norm of the gradient with equal experts over that with others, sampled",),
    ),
    Mutant(
        "softmax-weighted-router",
        {(Experts, "law"): drawn, (Experts, "mixed"): unweighted},
        (
            "norm of the gradient with equal experts over that with others, softmax-weighted",
            "relative distance from the gradient of E f",
        ),
    ),
    Mutant(
        "softmax-weighted-router",
        {(Experts, "law"): drawn},
        ("relative distance from the gradient of E f with the probability in f",),
    ),
]


def half_turned(encoded, code):
    """Halfway between straight-through and the code itself."""
    return (encoded + code) / 2


def by_enumeration(_):
    return Exact()


CODES = [
    Mutant(
        "codes-of-two-positions",
        {(cls, "estimate"): scaled(cls, 0.9) for cls in (ReinMax, MVE)},
        ("relative bias of ReinMax, linear decoder", "relative bias of MVE, linear decoder"),
    ),
    Mutant(
        "codes-of-two-positions",
        {(cls, "estimate"): as_another(by_enumeration) for cls in (StraightThrough, ReinMax)},
        ("relative bias of straight-through, linear decoder", "relative bias of ReinMax, tanh"),
    ),
    Mutant(
        "rotation-rule",
        {(quantised, "rotated"): half_turned},
        (
            "change of the cosine",
            "log of the length over the predicted one",
            "largest difference from the identity",
        ),
    ),
]

MUTANTS = [*EXPERTS, *CODES]
