"""Yin and Zhou 2019 (arXiv:1807.11143): ARM."""

from estimators import (
    ARM,
    NVIL,
    REBAR,
    RELAX,
    Estimator,
    GumbelSoftmax,
    LocalExpectation,
    MuProp,
    ScoreFunction,
)
from experiments.data import Binarisation, Dataset
from experiments.optimisers import Adam
from experiments.problems import VAE, StructuredPrediction
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

_PAPER = "yin2019"
_RATES = (5e-4, 1e-4, 5e-5)
_LABELS = (
    "REINFORCE",
    "Wake-Sleep",
    "NVIL",
    "LeGrad",
    "MuProp",
    "Concrete",
    "REBAR",
    "RELAX",
    "ARM",
)
_WAKE_SLEEP = "wake-sleep does not follow the gradient of the bound: it has no estimator here"
_NETWORKS = {
    "linear": {"depth": 1},
    "nonlinear": {"depth": 1, "hidden": "200-200", "activation": "leaky_relu"},
    "linear two stochastic layers": {"depth": 2},
}
# The table of each data set, and its names of the networks.
_TABLES: dict[Dataset, tuple[str, tuple[str, ...]]] = {
    "MNIST": (
        "Table 2(a)",
        (
            "linear 784-200 / 200-784",
            "nonlinear 784-200-200-200",
            "linear two stochastic layers",
        ),
    ),
    "Omniglot": ("Table 2(b)", tuple(_NETWORKS)),
}


def _estimators() -> dict[str, Estimator]:
    return {
        "REINFORCE": ScoreFunction(),
        "NVIL": ScoreFunction(NVIL(normalise=True)),
        "LeGrad": LocalExpectation(),
        "MuProp": MuProp(NVIL()),
        "Concrete": GumbelSoftmax(2 / 3),
        "REBAR": REBAR(0.5),
        "RELAX": RELAX(),
        "ARM": ARM(),
    }


def table2(binarisation: Binarisation) -> Table:
    """Return tables 2(a), on MNIST, and 2(b), on Omniglot."""
    made = _estimators()
    cells = []
    for dataset, (table, names) in _TABLES.items():
        own = binarisation if dataset == "MNIST" else "fixed"
        size = 50 if dataset == "MNIST" else 25
        for (network, settings), architecture in zip(_NETWORKS.items(), names, strict=True):
            part = f"{dataset}, {network}"
            for label in _LABELS:
                try:
                    number = published(_PAPER, table, architecture=architecture, estimator=label)
                except LookupError:  # the paper omits some cells
                    continue
                target = Target(part, label, number, "negative_bound")
                if label == "Wake-Sleep":
                    cells.append(Cell(f"{part}, {label}", _WAKE_SLEEP, (target,)))
                    continue
                problem = VAE(
                    size=200,
                    kl="relaxed-density" if label == "Concrete" else "sampled",
                    dataset=dataset,
                    binarisation=own,
                    batch_size=size,
                    **settings,
                )
                trained = TrainingExperiment(problem, (Variant(made[label]),), _RATES, Adam())
                cells.append(Cell(f"{part}, {label}", trained, (target,)))
    predictions = [
        Prediction(f"ARM is below {other} ({part})", part, ("ARM",), (other,))
        for part in ("MNIST, linear", "MNIST, nonlinear", "MNIST, linear two stochastic layers")
        for other in ("NVIL", "MuProp", "RELAX")
    ]
    return Table(
        "yin2019-table2",
        "Yin and Zhou 2019, table 2: VAE",
        tuple(cells),
        usual_scales(
            (5e-4, 1e-4), Scale(steps=1_200_000, seeds=5, bound_samples=1000), many_cells=True
        ),
        tuple(predictions),
        (
            "As published: Adam at one of three rates; minibatches of 50 (Omniglot: 25); bounds "
            "of 1,000 samples. Deviation: the model after its last step is evaluated, in the "
            "paper the one with the best validation result.",
            "The paper quotes most numbers from others, some as bounds (RELAX, MuProp and "
            "LeGrad on MNIST); its table marks these, its ranking ignores it.",
            "Choices: Concrete has the densities and temperatures of Maddison et al. 2017; NVIL "
            "and MuProp have the baseline network on the layer's logits; LeGrad is the local "
            "expectation gradient, exact in each bit, with 201 evaluations.",
        ),
    )


def table3(binarisation: Binarisation) -> Table:
    """Return ARM's column of table 3; the others are those of Jang et al. 2017, table 1."""
    number = published(_PAPER, "Table 3", estimator="ARM")
    problem = StructuredPrediction(binarisation=binarisation)
    trained = TrainingExperiment(problem, (Variant(ARM()),), (1e-4,), Adam())
    target = Target("392-200-200-392", "ARM", number, "negative_bound")
    return Table(
        "yin2019-table3",
        "Yin and Zhou 2019, table 3: structured output prediction",
        (Cell("ARM", trained, (target,)),),
        usual_scales((1e-4,), Scale(steps=1_000_000, seeds=5, bound_samples=1000)),
        (),
        ("The other columns of the table are copied from Jang et al. 2017: see jang2017-table1.",),
    )


TABLES = {"yin2019-table2": table2, "yin2019-table3": table3}
