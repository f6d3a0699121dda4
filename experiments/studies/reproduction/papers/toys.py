"""The toys whose answers are known in closed form."""

import math

import numpy as np

from estimators import (
    ARM,
    REBAR,
    RELAX,
    DisARM,
    DoubleCV,
    Estimator,
    Exact,
    GumbelRao,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
    StraightThroughGumbelSoftmax,
    SumAndSample,
    UnorderedSet,
)
from experiments.data import Binarisation
from experiments.problems.toy import Quadratic, SharedLogit, SimplexQuadratic
from experiments.studies.reproduction.measurement_experiment import MeasurementExperiment
from experiments.studies.reproduction.published import Published, known, published
from experiments.studies.reproduction.table import Cell, Scale, Table, Target

_SCALES = {
    "smoke": Scale(draws=4096),
    "laptop": Scale(draws=1 << 20),
    "paper": Scale(draws=1 << 22),
}


def _unbiased() -> dict[str, Estimator]:
    return {
        "REINFORCE": ScoreFunction(),
        "REINFORCE-LOO, 2": ScoreFunction(LeaveOneOut(2)),
        "MuProp": MuProp(),
        "REBAR": REBAR(0.5),
        "RELAX": RELAX(temperature=0.5, relaxes_objective=True),
        "ARM": ARM(),
        "DisARM": DisARM(),
        "Double CV, 2": DoubleCV(2),
    }


def toys(binarisation: Binarisation) -> Table:
    """Return the toys of RELAX, ARM, Kool et al. and Gumbel-Rao, with their known answers."""
    del binarisation  # no data
    return Table(
        "toys",
        "Toys with known answers: RELAX, ARM, Kool et al., Gumbel-Rao",
        (*_one_bit(), *_three_bits(), *_simplex()),
        _SCALES,
        (),
        (
            "Known answers are derived, or printed in the source; ours are estimated (2^20 "
            "gradients at budget laptop).",
            "One bit: f = (b - t)^2, d/dphi E f = (1 - 2t) s (1 - s); ARM's toy is maximised in "
            "the paper, so its gradients have the opposite sign there.",
            "Three bits with one logit (Liu et al. 2019, Kool et al. 2020): all eight states, "
            "drawn without replacement, leave no randomness.",
            "Simplex (Paulus et al. 2021): E f = (p - c)' Q (p - c).",
        ),
    )


def _one_bit() -> list[Cell]:
    cells = []
    for name, target, logit in (
        ("REBAR's toy, t = 0.45", 0.45, 1.0),
        ("RELAX's toy, t = 0.499", 0.499, 1.0),
        ("ARM's toy, p0 = 0.49", 0.49, -1.0),
        ("ARM's toy, p0 = 0.501", 0.501, -1.0),
        ("ARM's toy, p0 = 0.51", 0.51, -1.0),
    ):
        s = 1 / (1 + math.exp(-logit))
        slope = known((1 - 2 * target) * s * (1 - s), "", "(1 - 2t) s (1 - s)")
        value = known(s * (1 - target) ** 2 + (1 - s) * target**2, "", "E (b - t)^2")
        for label, estimator in _unbiased().items():
            cells.append(
                Cell(
                    f"{name}, {label}",
                    MeasurementExperiment(Quadratic(target, logit), estimator),
                    (
                        _target(f"{name}: gradient", label, slope, "gradient"),
                        _target(f"{name}: value", label, value, "value"),
                    ),
                )
            )
    return cells


def _three_bits() -> list[Cell]:
    def number(metric: str) -> Published:
        return published("kool2020_notebook", "notebook output", metric=metric)

    slope = number("true gradient at phi=0")
    nothing = known(0.0, "", "every state is drawn")
    gradient, variance = "Three bits: gradient at logit 0", "Three bits: variance, all states drawn"
    cells = [
        Cell(
            f"Three bits, {label}",
            MeasurementExperiment(SharedLogit(), estimator),
            (_target(gradient, label, slope, "gradient"),),
        )
        for label, estimator in (_unbiased() | {"unordered set, 4": UnorderedSet(4)}).items()
    ]
    for label, estimator in {
        "exact": Exact(),
        "unordered set, 8": UnorderedSet(8),
        "sum and sample, 8": SumAndSample(8),
    }.items():
        targets = (
            _target(gradient, label, slope, "gradient"),
            _target(variance, label, nothing, "variance"),
        )
        cells.append(
            Cell(f"Three bits, {label}", MeasurementExperiment(SharedLogit(), estimator), targets)
        )
    # Logits of +-40 give all ones and all zeros.
    for label, logit, metric in (
        ("all ones", 40.0, "loss of all-ones"),
        ("all zeros", -40.0, "loss of all-zeros"),
    ):
        target = _target("Three bits: loss", label, number(metric), "value")
        cells.append(
            Cell(
                f"Three bits, {label}",
                MeasurementExperiment(SharedLogit(logit), Exact()),
                (target,),
            )
        )
    return cells


def _simplex() -> list[Cell]:
    problem = SimplexQuadratic()
    logits = np.linspace(-problem.scale, problem.scale, problem.classes)
    p = np.exp(logits) / np.exp(logits).sum()
    index = np.arange(problem.classes)
    q = np.exp(-2.0 * np.abs(index[:, None] - index))
    off = p - 1 / 3
    value = known(float(off @ q @ off), "", "(p - c)' Q (p - c)")
    return [
        Cell(
            f"Simplex, {label}",
            MeasurementExperiment(problem, estimator),
            (_target("Simplex: value", label, value, "value"),),
        )
        for label, estimator in {
            "exact": Exact(),
            "REINFORCE": ScoreFunction(),
            "ST-GS": StraightThroughGumbelSoftmax(0.5),
            "GR-MC100": GumbelRao(0.5, 100),
        }.items()
    ]


def _target(block: str, label: str, number: Published, metric: str) -> Target:
    return Target(block, label, number, metric, "", is_known=True)


TABLES = {"toys": toys}
