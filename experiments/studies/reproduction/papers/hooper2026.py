"""Hooper and Shekhovtsov 2026 (AISTATS): MVE."""

from collections.abc import Callable

from estimators import (
    MVE,
    Average,
    Estimator,
    GumbelRao,
    ReinMax,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.data import Binarisation
from experiments.optimisers import Adam
from experiments.problems import FourValues
from experiments.studies.reproduction.published import published
from experiments.studies.reproduction.table import (
    Cell,
    Prediction,
    Scale,
    Table,
    Target,
    usual_scales,
)
from experiments.studies.reproduction.training_experiment import TrainingExperiment, Variant

_POWERS = (1.5, 2.0, 3.0)
_BATCH = 8
_STEPS = 10_000
_EMBEDDINGS = {
    "one-hot": "one-hot embedding, w of torch seed 0 scaled to [0,1]",
    "integer": "integer embedding, w = d/3",
}
# Built once they are used: building an estimator starts JAX.
_MAKERS: dict[str, Callable[[], Estimator]] = {
    "ST": lambda: StraightThrough(),
    "STGS, tau 0.1": lambda: StraightThroughGumbelSoftmax(0.1),
    "Gumbel-Rao K=20, tau 0.1": lambda: GumbelRao(0.1, 20),
    "MVE, T=1e6": lambda: MVE(1e6),
    "MVE_int, T=1e6": lambda: MVE(1e6, integer=True),
    "ReinMax [T=1]": lambda: ReinMax(1.0),
}


def polynomial(binarisation: Binarisation) -> Table:
    """Return the polynomial programme: the loss of each estimator in the last epoch."""
    del binarisation  # no data
    cells, predictions = [], []
    for embedding, latents in _EMBEDDINGS.items():
        own = "MVE_int, T=1e6" if embedding == "integer" else "MVE, T=1e6"
        labels = [label for label in _MAKERS if not label.startswith("MVE") or label == own]
        for power in _POWERS:
            part = f"{embedding}, p = {power:g}"
            problem = FourValues(power, integer=embedding == "integer")
            for label in labels:
                estimator = Average(_MAKERS[label](), _BATCH)
                trained = TrainingExperiment(problem, (Variant(estimator),), (1e-3,), Adam())
                number = published(
                    "hooper2026",
                    f"polynomial, p = {power:g}",
                    latents=latents,
                    estimator=label,
                )
                target = Target(part, label, number, "loss", "train")
                cells.append(Cell(f"{part}, {label}", trained, (target,)))
            second_order = ("ReinMax [T=1]", own)
            for better, worse in (
                (second_order, ("Gumbel-Rao K=20, tau 0.1",)),
                (("Gumbel-Rao K=20, tau 0.1",), ("STGS, tau 0.1",)),
                (("STGS, tau 0.1",), ("ST",)),
            ):
                statement = f"{' and '.join(better)} below {worse[0]} ({part})"
                predictions.append(Prediction(statement, part, better, worse))
    paper = Scale(steps=_STEPS, seeds=1)
    return Table(
        "hooper2026-polynomial",
        "Hooper and Shekhovtsov 2026: polynomial programme, 128 variables of 4 classes",
        tuple(cells),
        usual_scales((1e-3,), paper, steps=_STEPS, seeds=3),
        tuple(predictions),
        (
            "As published: Adam at 1e-3, 8 samples per step, 50 epochs of 200 steps; the mean loss "
            "of the samples of the last epoch. Published numbers are of one seed.",
            "w is that of the authors' seed of PyTorch; initial logits are drawn by our own.",
        ),
    )


TABLES = {"hooper2026-polynomial": polynomial}
