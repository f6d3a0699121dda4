"""Liu et al. 2023 (arXiv:2304.08612): ReinMax."""

from collections.abc import Callable

from estimators import (
    Average,
    Estimator,
    GappedStraightThrough,
    GumbelRao,
    ReinMax,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.data import Binarisation
from experiments.optimisers import Adam, RAdam
from experiments.problems import VAE
from experiments.problems.toy import Polynomial
from experiments.studies.reproduction.published import known, unknown
from experiments.studies.reproduction.table import (
    Cell,
    Prediction,
    Scale,
    Table,
    Target,
    usual_scales,
)
from experiments.studies.reproduction.training_experiment import TrainingExperiment, Variant

_TARGET = 0.45
_POWERS = (1.5, 2.0, 3.0)
_BATCH = 64
# Categories, latent variables, rate and temperature of ReinMax in the authors' program.
_VAES = (
    (8, 4, 5e-4, 1.3),
    (4, 24, 5e-4, 1.5),
    (8, 16, 7e-4, 1.5),
    (16, 12, 7e-4, 1.5),
    (64, 8, 5e-4, 1.5),
    (10, 30, 5e-4, 1.3),
)
_MAKERS: dict[str, Callable[[float], Estimator]] = {
    "ST": lambda _: StraightThrough(),
    "STGS": StraightThroughGumbelSoftmax,
    "GR-MC100": lambda temperature: GumbelRao(temperature, 100),
    "GST-1.0": GappedStraightThrough,
    "ReinMax": ReinMax,
}
_SOURCE = "settings of the authors' program, LiyuanLucasLiu/ReinMax"


def polynomial(binarisation: Binarisation) -> Table:
    """Return the polynomial programme: the final loss of each estimator."""
    del binarisation  # no data
    cells = []
    for power in _POWERS:
        part = f"p = {power:g}"
        least = known(_TARGET**power, "", f"the least loss, {_TARGET}^{power:g}")
        problem = Polynomial(power, 128, "Categorical", 0.01)
        for label, maker in _MAKERS.items():
            estimator = Average(maker(1.0), _BATCH)
            trained = TrainingExperiment(problem, (Variant(estimator),), (1e-3,), Adam())
            target = Target(
                part,
                label,
                least,
                "exact_loss",
                "",
            )
            cells.append(Cell(f"{part}, {label}", trained, (target,)))
    paper = Scale(steps=8000, seeds=10)
    return Table(
        "liu2023-polynomial",
        "Liu et al. 2023: polynomial programme, 128 variables",
        tuple(cells),
        usual_scales((1e-3,), paper, steps=8000, seeds=2),
        tuple(
            Prediction(
                f"ReinMax is below every other (p = {power:g})",
                f"p = {power:g}",
                ("ReinMax",),
                tuple(label for label in _MAKERS if label != "ReinMax"),
            )
            for power in _POWERS
        ),
        (
            "The paper's numbers are unavailable. Ours, the exact expectation after the last "
            "step, is compared with the minimum of the loss, where every x is 0.",
            "As published: 128 binary variables; Adam at 1e-3; 64 samples per step; 8,000 "
            "steps; temperature 1. Deviation: initial logits are evenly spaced in [-0.01, "
            "0.01], not drawn from it.",
        ),
    )


def vae(binarisation: Binarisation) -> Table:
    """Return the MNIST VAE by categories and latent variables."""
    del binarisation  # grey values
    cells = []
    for classes, size, rate, temperature in _VAES:
        part = f"{classes} x {size}"
        problem = VAE(
            "Categorical",
            size,
            classes,
            hidden="512-256",
            activation="relu",
            prior="uniform",
            binarisation="real",
        )
        for label, maker in _MAKERS.items():
            # The settings tuned for ReinMax; those of the others are unavailable.
            optimiser = Adam() if (classes, size) == (8, 4) else RAdam()
            variants = (Variant(maker(temperature)), Variant(maker(1.0)))
            trained = TrainingExperiment(problem, variants, (rate,), optimiser, "negative_elbo")
            target = Target(part, label, unknown(_SOURCE, "nats"), "negative_elbo")
            cells.append(Cell(f"{part}, {label}", trained, (target,)))
    return Table(
        "liu2023-vae",
        "Liu et al. 2023: MNIST VAE by categories x latent variables",
        tuple(cells),
        usual_scales(
            None,
            Scale(steps=96_000, seeds=10, bound_samples=100),
            many_cells=True,
            bound_samples=100,
            steps=5000,
        ),
        tuple(
            Prediction(f"ReinMax is below {other} ({part})", part, ("ReinMax",), (other,))
            for part in (f"{classes} x {size}" for classes, size, _, _ in _VAES)
            for other in ("ST", "STGS")
        ),
        (
            "The paper's numbers are unavailable; the settings are those of the authors' program.",
            "As published: 784-512-256-(L x C)-256-512-784 with ReLU; grey values as targets; "
            "analytic divergence from the uniform prior; minibatches of 100; Adam (8 x 4) or "
            "RAdam at the rate tuned for ReinMax; its temperature or 1, chosen on validation "
            "images.",
            "Deviation: 50,000 training and 10,000 validation images; the program trains on "
            "60,000.",
        ),
    )


TABLES = {"liu2023-polynomial": polynomial, "liu2023-vae": vae}
