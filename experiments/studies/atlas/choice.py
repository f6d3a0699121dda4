"""The points and the estimators of the atlas."""

from collections.abc import Sequence
from typing import NamedTuple

TRAINER = "ScoreFunction[LeaveOneOut[4]]"
"""The estimator that trains a problem to its later point: it is unbiased, and takes every law."""

SCALES = ("smoke", "laptop")

ESTIMATORS = (
    "ScoreFunction",
    "ScoreFunction[LeaveOneOut[2]]",
    "ScoreFunction[LeaveOneOut[4]]",
    "ScoreFunction[NVIL]",
    "ARM",
    "DisARM",
    "ARMS[4]",
    "ARSM",
    "CategoricalDisARM",
    "CARMS[4]",
    "DoubleCV[2]",
    "MuProp",
    "REBAR[0.5]",
    "RELAX",
    "RODEO[2]",
    "IndeCateR",
    "LocalExpectation",
    "PoissonDifference",
    "SumAndSample[2]",
    "UnorderedSet[4]",
    "StraightThrough",
    "ReinMax",
    "RadauStraightThrough",
    "SecondOrderStraightThrough",
    "MVE",
    "SIMPLE",
    "ImplicitMLE",
    "GumbelSoftmax[0.5]",
    "GumbelSoftmax[1.0]",
    "StraightThroughGumbelSoftmax[0.5]",
    "GumbelRao[0.5]",
    "DiffusionRelaxation[5]",
    "RelaxedTopK[0.5]",
)
"""One variant of a method, or two of those whose setting matters most; `Exact` has no error.

Estimators for multi-sample bounds are left out, since no problem of the atlas is one.
"""


class AtlasPoint(NamedTuple):
    """A problem at its start, or after training.

    Attributes:
        problem: the problem, with its settings.
        law: the name of the law of one example's latent variable.
        steps: Adam steps with `TRAINER` before gradients are measured.
        samples: gradients of each estimator.
        estimators: the names of those that are measured, if they take the law.
    """

    problem: str
    law: str
    steps: int = 0
    samples: int = 1024
    estimators: Sequence[str] = ESTIMATORS

    @property
    def title(self) -> str:
        """What tells it from others."""
        return f"{self.problem}, step {self.steps}"


def _toy(problem: str, law: str) -> AtlasPoint:
    return AtlasPoint(problem, law, samples=8192)


def _both(problem: str, law: str, steps: int, *more, **named) -> tuple[AtlasPoint, ...]:
    return tuple(AtlasPoint(problem, law, one, *more, **named) for one in (0, steps))


# Problems of sequences refuse most of the others, by what they need of f.
_BLACK_BOX = (
    "ScoreFunction",
    "ScoreFunction[LeaveOneOut[2]]",
    "ScoreFunction[LeaveOneOut[4]]",
    "ScoreFunction[NVIL]",
    "RELAX",
)
_NESTED = (
    "StraightThrough",
    "ReinMax",
    "MVE",
    "GumbelSoftmax[0.5]",
    "GumbelSoftmax[1.0]",
    "StraightThroughGumbelSoftmax[0.5]",
    "GumbelRao[0.5]",
    "DiffusionRelaxation[5]",
)


# `SemiSupervised` is left out: its gradients are slow, and the true one is not exact.
_LAPTOP = (
    _toy("Quadratic", "Bernoulli"),
    _toy("SharedLogit", "Bernoulli"),
    _toy("Coupled", "Bernoulli"),
    _toy("Polynomial[power=3.0]", "Bernoulli"),
    _toy("TwoContexts", "Bernoulli"),
    _toy("Memory[symbols=3]", "Bernoulli"),
    *_both("Gates", "Bernoulli", 300),
    *_both("Rounding", "Bernoulli", 30, 4096),
    *_both("VAE", "Bernoulli", 1000),
    AtlasPoint("StructuredPrediction[size=4]", "Bernoulli", 1000),
    _toy("FourValues", "Categorical"),
    _toy("SimplexQuadratic", "Categorical"),
    _toy("Bandit", "Categorical"),
    *_both("Experts", "Categorical", 300),
    AtlasPoint("VectorQuantised", "Categorical", 300, 256),
    AtlasPoint("VAE[latent=Categorical,size=2]", "Categorical", 1000),
    *_both("SequenceGAN", "Categorical", 300, estimators=(*_BLACK_BOX, *_NESTED)),
    AtlasPoint("WorldModel", "Categorical", 300, estimators=(*_BLACK_BOX, *_NESTED)),
    AtlasPoint("Policy", "Categorical", 300, estimators=_BLACK_BOX),
    _toy("Subsets", "Subset"),
    *_both("Explain", "Subset", 300),
    *_both("Experts[top=2]", "Subset", 300),
    _toy("Subsets[law=PlackettLuceSubset]", "PlackettLuceSubset"),
    _toy("Counts", "Poisson"),
)

_FEW = (
    "ScoreFunction",
    "ScoreFunction[LeaveOneOut[2]]",
    "LocalExpectation",
    "StraightThrough",
    "GumbelSoftmax[0.5]",
    "SIMPLE",
)

POINTS = {
    "smoke": (
        AtlasPoint("SharedLogit", "Bernoulli", 0, 256, _FEW),
        AtlasPoint("Coupled", "Bernoulli", 20, 256, _FEW),
        AtlasPoint("Bandit", "Categorical", 0, 256, _FEW),
        AtlasPoint("Subsets", "Subset", 0, 256, _FEW),
    ),
    "laptop": _LAPTOP,
}
"""The points of each scale."""
