"""Jang, Gu and Poole 2017 (arXiv:1611.01144): Gumbel-softmax."""

from typing import Literal

from estimators import (
    DARN,
    NVIL,
    Estimator,
    Exact,
    GumbelSoftmax,
    MuProp,
    ScoreFunction,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.data import Binarisation
from experiments.optimisers import SGD
from experiments.problems import VAE, SemiSupervised, StructuredPrediction
from experiments.studies.reproduction.published import published, unknown
from experiments.studies.reproduction.speed_experiment import SpeedExperiment
from experiments.studies.reproduction.table import (
    Cell,
    Prediction,
    Scale,
    Table,
    Target,
    usual_scales,
)
from experiments.studies.reproduction.training_experiment import TrainingExperiment, Variant
from experiments.training.schedules import Exponential, Linear

_PAPER = "jang2017"
_RATES = (3e-5, 1e-5, 3e-4, 1e-4, 3e-3, 1e-3)
_LABELS = ("SF", "DARN", "MuProp", "ST", "Slope-Annealed ST", "Gumbel-Softmax", "ST Gumbel-Softmax")
# The table's headings: latent variables, and the experiment above them.
_PARTS: dict[str, tuple[str, Literal["Bernoulli", "Categorical"], str]] = {
    "SBN, Bernoulli": ("2x200 Bernoulli", "Bernoulli", "structured output prediction"),
    "SBN, categorical": (
        "2 layers of 20 x 10-way categorical",
        "Categorical",
        "structured output prediction",
    ),
    "VAE, Bernoulli": ("200 Bernoulli", "Bernoulli", "VAE"),
    "VAE, categorical": ("20 x 10-way categorical", "Categorical", "VAE"),
}
_BOUND, _MEAN = "bound", "ELBO"
_READINGS = {_BOUND: "negative_bound", _MEAN: "negative_elbo"}


def table1(binarisation: Binarisation) -> Table:
    """Return table 1: seven estimators on structured prediction and the VAE, 28 cells."""
    cells = tuple(_cell(part, label, binarisation) for part in _PARTS for label in _LABELS)
    return Table(
        "jang2017-table1",
        "Jang, Gu and Poole 2017, table 1",
        cells,
        usual_scales((1e-3, 3e-3), Scale(steps=500_000, seeds=5, bound_samples=1000), seeds=4),
        _predictions(),
        (
            "Interpretation: the text evaluates with 1,000 samples, the caption names the "
            "variational lower bound; both are reported, as bound and ELBO (structured "
            "prediction: minus the log of the mean likelihood over samples, and the mean of "
            "minus its log).",
            "Interpretation: the dashes of 784-200-784 and 392-200-200-392 are linear maps.",
            "Interpretation: DARN is the 1/2 estimator of Gu et al. 2016, with f' at the "
            "sample; the other one, f' at 1/2, is compared if the budget allows two variants.",
            "Choices where the paper is silent: minibatches of 100; Glorot initialisation; "
            "centred inputs; bits as -1 and 1; pixels' biases at their log-odds; the slope "
            "grows from 1 to 5 in 50,000 steps (0.04 per epoch, Chung et al. 2017); SF and "
            "MuProp are centred by a moving average.",
            "As published: SGD with momentum 0.9; uniform prior; log q - log p inside f, also "
            "at relaxed samples; the signals of SF and MuProp divided by their running standard "
            "deviation if it is above 1 (for MuProp, the whole gradient; DARN has no signal and "
            "is not divided); temperature 1 in structured prediction, max(0.5, exp(-rt)) in the "
            "VAE.",
            "Possible error in the paper: annealed ST and ST Gumbel-softmax share both VAE "
            "numbers.",
        ),
    )


def table2(binarisation: Binarisation) -> Table:
    """Return table 2: semi-supervised classification with 100 labels."""
    del binarisation  # drawn anew in every minibatch
    task = "semi-supervised classification"
    readings = {
        "ELBO": ("ELBO", "negative_elbo", -1.0),
        "accuracy (%)": ("accuracy on unlabeled test data", "accuracy", 100.0),
    }
    alphas = (0.1, 0.2, 0.3, 0.8, 1.0)
    temperature = Exponential(rate=3e-5, floor=0.5, every=2000)
    estimators: dict[str, tuple[Estimator, tuple]] = {
        "Marginalization": (Exact(), ()),
        "Gumbel-Softmax": (GumbelSoftmax(1.0), (("temperature", temperature),)),
        "ST Gumbel-Softmax": (
            StraightThroughGumbelSoftmax(1.0),
            (("temperature", temperature),),
        ),
    }
    cells = []
    for label, (estimator, schedules) in estimators.items():
        targets = tuple(
            Target(
                reading,
                label,
                published(_PAPER, "Table 2", task=task, estimator=label, metric=printed),
                metric,
                scale=scale,
                higher_is_better=True,
            )
            for reading, (printed, metric, scale) in readings.items()
        )
        variants = tuple(
            Variant(estimator, schedules, problem=SemiSupervised(alpha=alpha)) for alpha in alphas
        )
        trained = TrainingExperiment(
            SemiSupervised(), variants, _RATES, SGD(momentum=0.9), "accuracy", higher_is_better=True
        )
        cells.append(Cell(label, trained, targets))
    return Table(
        "jang2017-table2",
        "Jang, Gu and Poole 2017, table 2: semi-supervised",
        tuple(cells),
        {
            "smoke": Scale(steps=2, seeds=1, bound_samples=2, images=32, rates=(1e-3,), variants=1),
            "laptop": Scale(
                steps=3000,
                seeds=1,
                bound_samples=20,
                images=1000,
                rates=(3e-3,),
                variants=1,
            ),
            "paper": Scale(steps=500_000, seeds=5, bound_samples=100),
        },
        (
            Prediction(
                "marginalisation has the highest ELBO",
                "ELBO",
                ("Marginalization",),
                ("Gumbel-Softmax", "ST Gumbel-Softmax"),
            ),
        ),
        (
            "Choice, the paper prints no sizes: networks, style variables and minibatches are this "
            "project's (SemiSupervised).",
            "As published: alpha of 0.1, 0.2, 0.3, 0.8 and 1 (laptop: 0.1), dynamic binarisation, "
            "temperature max(0.5, exp(-3e-5 t)) every 2,000 steps. The paper reports the best "
            "alpha's test accuracy; here validation images choose.",
        ),
    )


def figure5a(binarisation: Binarisation) -> Table:
    """Return the speed ratios stated in the text of figure 5a, by number of classes."""
    del binarisation  # drawn anew in every minibatch
    cells = []
    for classes in (5, 10, 20, 50, 100):
        problem = SemiSupervised(classes=classes)
        name = f"{classes} classes"
        number = (
            published(_PAPER, "Figure 5a (text)", latents=name)
            if classes in (10, 100)
            else unknown("only drawn in the figure", "steps/sec ratio")
        )
        target = Target(
            "steps per second, Gumbel-softmax over marginalisation",
            name,
            number,
            "speed_ratio",
            "",
            higher_is_better=True,
        )
        cells.append(Cell(name, SpeedExperiment(problem, GumbelSoftmax(1.0), Exact()), (target,)))
    block = "steps per second, Gumbel-softmax over marginalisation"
    return Table(
        "jang2017-figure5a",
        "Jang, Gu and Poole 2017, figure 5a: speed by number of classes",
        tuple(cells),
        {"smoke": Scale(steps=1), "laptop": Scale(steps=5), "paper": Scale(steps=100)},
        (
            Prediction(
                "the ratio grows with the number of classes",
                block,
                ("100 classes", "50 classes"),
                ("10 classes", "5 classes"),
            ),
        ),
        (
            "The paper's ratio was measured on a GTX Titan X, with networks of unpublished "
            "sizes; ratios depend on both.",
            "Ours: a single run on one device; the interval is over seven alternating rounds.",
        ),
    )


def _cell(part: str, label: str, binarisation: Binarisation) -> Cell:
    latents, latent, task = _PARTS[part]
    number = published(_PAPER, "Table 1", task=task, latents=latents, estimator=label)
    size = 200 if latent == "Bernoulli" else 20
    if task == "VAE":
        problem = VAE(latent, size, kl="sampled", prior="uniform", binarisation=binarisation)
    else:
        problem = StructuredPrediction(latent, size, binarisation=binarisation)
    return Cell(
        f"{part}, {label}",
        TrainingExperiment(problem, _variants(label, task), _RATES, SGD(momentum=0.9)),
        tuple(
            Target(f"{part}: {reading}", label, number, metric)
            for reading, metric in _READINGS.items()
        ),
    )


def _variants(label: str, task: str) -> tuple[Variant, ...]:
    centred = NVIL(normalise=True, network=None)
    plain: dict[str, tuple[Estimator, ...]] = {
        "SF": (ScoreFunction(centred),),
        "DARN": (DARN("sample"), DARN("half")),
        "MuProp": (MuProp(centred),),
        "ST": (StraightThrough(),),
    }
    if label in plain:
        return tuple(map(Variant, plain[label]))
    if label == "Slope-Annealed ST":
        slope = Linear(start=1.0, end=5.0, steps=50_000)
        return (Variant(SlopeAnnealedStraightThrough(1.0), (("slope", slope),)),)
    relaxed = GumbelSoftmax if label == "Gumbel-Softmax" else StraightThroughGumbelSoftmax
    if task != "VAE":
        return (Variant(relaxed(1.0)),)
    return tuple(
        Variant(relaxed(1.0), (("temperature", Exponential(rate=rate, floor=0.5, every=every)),))
        for rate in (1e-4, 1e-5)
        for every in (1000, 500)
    )


def _predictions() -> tuple[Prediction, ...]:
    """Return the paper's orderings, from its text or table, under the text's interpretation."""

    def prediction(statement: str, part: str, better: tuple, worse: tuple) -> Prediction:
        return Prediction(f"{statement} ({part})", f"{part}: {_BOUND}", better, worse)

    def others(*labels: str) -> tuple[str, ...]:
        return tuple(label for label in _LABELS if label not in labels)

    lowest = [
        prediction(
            "Gumbel-softmax is the lowest of all",
            part,
            ("Gumbel-Softmax",),
            others("Gumbel-Softmax"),
        )
        for part in _PARTS
    ]
    not_relaxed = others("Gumbel-Softmax", "ST Gumbel-Softmax")
    return (
        *lowest,
        prediction("SF is the highest of all", "SBN, Bernoulli", others("SF"), ("SF",)),
        prediction("SF is the highest of all", "SBN, categorical", others("SF"), ("SF",)),
        prediction(
            "ST Gumbel-softmax is below every estimator that is not relaxed",
            "SBN, categorical",
            ("ST Gumbel-Softmax",),
            not_relaxed,
        ),
        prediction("ST is the highest of all", "VAE, Bernoulli", others("ST"), ("ST",)),
        prediction("DARN is the highest of all", "VAE, categorical", others("DARN"), ("DARN",)),
        prediction(
            "MuProp is below ST Gumbel-softmax (as in the table, contrary to the text)",
            "VAE, categorical",
            ("MuProp",),
            ("ST Gumbel-Softmax",),
        ),
    )


TABLES = {"jang2017-table1": table1, "jang2017-table2": table2, "jang2017-figure5a": figure5a}
