"""The points and the estimators of the atlas."""

from typing import NamedTuple

TRAINER = "ScoreFunction[LeaveOneOut[4]]"
"""The estimator that trains a problem to its later point: it is unbiased, and takes every law."""

SCALES = ("smoke", "laptop")


class AtlasPoint(NamedTuple):
    """A problem at its start, or after training.

    Attributes:
        problem: the problem, with its settings.
        law: the name of the law of one example's latent variable.
        steps: Adam steps with `TRAINER` before gradients are measured.
        samples: gradients of each estimator.
    """

    problem: str
    law: str
    steps: int = 0
    samples: int = 1024

    @property
    def title(self) -> str:
        """What tells it from others."""
        return f"{self.problem}, step {self.steps}"


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
    "StraightThroughGumbelSoftmax[1.0]",
    "GumbelRao[0.5]",
    "GappedStraightThrough[0.5]",
    "DiffusionRelaxation[5]",
    "RelaxedTopK[0.5]",
)
"""One variant of a method, or two of those whose setting matters most; `Exact` has no error.

Estimators for multi-sample bounds are left out, since no problem of the atlas is one.
"""


def _both(problem: str, law: str, steps: int, samples: int = 1024) -> tuple[AtlasPoint, ...]:
    return AtlasPoint(problem, law, 0, samples), AtlasPoint(problem, law, steps, samples)


_LAPTOP = (
    AtlasPoint("Quadratic", "Bernoulli"),
    AtlasPoint("SharedLogit", "Bernoulli"),
    AtlasPoint("Coupled", "Bernoulli"),
    AtlasPoint("Polynomial[power=3.0]", "Bernoulli"),
    AtlasPoint("TwoContexts", "Bernoulli"),
    *_both("Memory[symbols=3]", "Bernoulli", 300),
    *_both("Gates", "Bernoulli", 300),
    *_both("Rounding", "Bernoulli", 300),
    *_both("VAE", "Bernoulli", 1000),
    AtlasPoint("StructuredPrediction[size=4]", "Bernoulli", 1000),
    AtlasPoint("FourValues", "Categorical"),
    AtlasPoint("SimplexQuadratic", "Categorical"),
    AtlasPoint("Bandit", "Categorical"),
    *_both("Experts", "Categorical", 300),
    *_both("VectorQuantised", "Categorical", 300, 256),
    AtlasPoint("VAE[latent=Categorical,size=2]", "Categorical", 1000),
    *_both("SequenceGAN", "Categorical", 300),
    *_both("Policy", "Categorical", 300),
    AtlasPoint("Subsets", "Subset"),
    *_both("Explain", "Subset", 300),
    *_both("Experts[top=2]", "Subset", 300),
    AtlasPoint("Subsets[law=PlackettLuceSubset]", "PlackettLuceSubset"),
    AtlasPoint("Counts", "Poisson"),
)

POINTS = {
    "smoke": (
        AtlasPoint("SharedLogit", "Bernoulli", 0, 256),
        AtlasPoint("Coupled", "Bernoulli", 20, 256),
        AtlasPoint("Bandit", "Categorical", 0, 256),
        AtlasPoint("Subsets", "Subset", 0, 256),
    ),
    "laptop": _LAPTOP,
}
"""The points of each scale."""

CHOSEN = {
    "smoke": (
        "ScoreFunction",
        "ScoreFunction[LeaveOneOut[2]]",
        "LocalExpectation",
        "StraightThrough",
        "GumbelSoftmax[0.5]",
        "SIMPLE",
    ),
    "laptop": ESTIMATORS,
}
"""The estimators of each scale."""
