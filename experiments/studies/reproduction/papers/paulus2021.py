"""Paulus, Maddison and Krause 2021 (arXiv:2010.04838): Rao-Blackwellised straight-through."""

from collections.abc import Callable
from typing import Literal

from estimators import (
    Estimator,
    GumbelRao,
    GumbelSoftmax,
    MovingAverage,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.data import Binarisation
from experiments.optimisers import SGD
from experiments.problems import VAE
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

_PAPER = "paulus2021"
_BITS = 240
_RATES = (1e-3, 3e-3, 3e-4, 1e-4, 1e-2)
_TEMPERATURES = (0.5, 1.0, 0.3, 0.1)
_ARITIES = {2: "binary", 4: "4-ary", 8: "8-ary", 16: "16-ary"}
_BATCHES = (20, 200)
_TEMPERED: dict[str, Callable[[float], Estimator]] = {
    "GS": GumbelSoftmax,
    "ST-GS": StraightThroughGumbelSoftmax,
    "GR-MC10": lambda temperature: GumbelRao(temperature, 10),
    "GR-MC100": lambda temperature: GumbelRao(temperature, 100),
    "GR-MC1000": lambda temperature: GumbelRao(temperature, 1000),
}


def _variants(label: str) -> tuple[Variant, ...]:
    if label == "REINFORCE":
        return (Variant(ScoreFunction(MovingAverage(0.9))),)
    if label == "ST":
        return (Variant(StraightThrough()),)
    return tuple(Variant(_TEMPERED[label](temperature)) for temperature in _TEMPERATURES)


def table2(binarisation: Binarisation) -> Table:
    """Return table 2: the VAE by arity and minibatch, 56 numbers."""
    labels = ("GS", "REINFORCE", "ST", "ST-GS", "GR-MC10", "GR-MC100", "GR-MC1000")
    cells, parts = [], []
    for batch in _BATCHES:
        for classes, arity in _ARITIES.items():
            part = f"{arity}, batch {batch}"
            parts.append(part)
            latent: Literal["Bernoulli", "Categorical"] = (
                "Bernoulli" if classes == 2 else "Categorical"
            )
            problem = VAE(
                latent,
                _BITS // (classes.bit_length() - 1),
                classes,
                hidden="240-240",
                kl="sampled",
                coding="one-hot" if classes == 2 else "corners",
                binarisation=binarisation,
                batch_size=batch,
            )
            for label in labels:
                number = published(
                    _PAPER,
                    "Table 2",
                    latents=f"{arity}, constant total dimension",
                    estimator=label,
                    notes=f"batch size {batch};",
                )
                trained = TrainingExperiment(problem, _variants(label), _RATES, SGD(momentum=0.9))
                target = Target(part, label, number, "negative_bound")
                cells.append(Cell(f"{part}, {label}", trained, (target,)))
    relaxed = ("GS", "ST-GS", "GR-MC10", "GR-MC100", "GR-MC1000")
    predictions = [
        Prediction(
            f"REINFORCE is the highest of all ({part})", part, (*relaxed, "ST"), ("REINFORCE",)
        )
        for part in parts
    ]
    predictions += [
        Prediction(
            f"ST is above every estimator with Gumbel noise ({part})", part, relaxed, ("ST",)
        )
        for part in parts
    ]
    predictions += [
        Prediction(f"GR-MC1000 is below ST-GS ({part})", part, ("GR-MC1000",), ("ST-GS",))
        for part in parts[:4]
    ]
    predictions += [
        Prediction(
            f"GS is the lowest of all ({part})", part, ("GS",), ("REINFORCE", "ST", *relaxed[1:])
        )
        for part in (parts[0], parts[4])
    ]
    return Table(
        "paulus2021-table2",
        "Paulus et al. 2021, table 2: VAE",
        tuple(cells),
        usual_scales(
            (1e-3, 3e-3),
            Scale(steps=50_000, seeds=5, bound_samples=5000),
            steps=10_000,
            many_cells=True,
        ),
        tuple(predictions),
        (
            "As published: 50,000 steps of SGD with momentum 0.9 in minibatches of 20 and 200, "
            "bounds of 5,000 samples (laptop: 1,000).",
            "Choices, since the appendix with the architecture is unavailable: the one-layer "
            "nonlinear VAE of Maddison et al. 2017 with their total of 240 bits, which the "
            "paper states. REINFORCE is centred by a moving average.",
            "Deviation: instead of 20 random settings, a grid of five rates and four "
            "temperatures is compared (laptop: two rates, temperature 0.5).",
        ),
    )


TABLES = {"paulus2021-table2": table2}
