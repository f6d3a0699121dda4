"""Mutants of the claims about the soft machine and the distribution over machines."""

from estimators import DiffusionRelaxation, ScoreFunction
from experiments.problems import Memory
from tests.experiments.studies.claims.broken import Mutant, as_another, changed, scaled

STUDY = "soft-machines"


def doubled(self, logits, sample, right=Memory.f):
    """Twice the loss."""
    return 2 * right(self, logits, sample)


def last_first(self, controls, right=Memory.weights):
    """Reads of a machine whose inputs are counted from the last."""
    return right(self, controls)[:, ::-1]


MUTANTS = [
    Mutant(
        STUDY,
        {(Memory, "weights"): last_first},
        ("perfect machines, two symbols", "perfect machines, three symbols"),
    ),
    Mutant(
        STUDY,
        {(Memory, "f"): doubled},
        (
            "mean loss of machines less that of the soft one, two symbols",
            "loss of a machine less that of the soft coin",
        ),
    ),
    Mutant(
        STUDY,
        {(DiffusionRelaxation, "estimate"): scaled(DiffusionRelaxation, 0.9)},
        ("largest difference, soft gradient and true one, multilinear",),
    ),
    Mutant(
        STUDY,
        {(DiffusionRelaxation, "estimate"): as_another(lambda _: ScoreFunction())},
        ("relative bias, soft stack",),
    ),
    Mutant(
        STUDY,
        {(Memory, "weights"): changed(Memory, "weights", kink=lambda _: 0.5)},
        ("largest difference, straight-through at slopes 0 and 1/2",),
    ),
]
