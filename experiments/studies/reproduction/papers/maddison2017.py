"""Maddison, Mnih and Teh 2017 (arXiv:1611.00712): the Concrete distribution."""

import itertools
from typing import Literal

from estimators import NVIL, VIMCO, Estimator, GumbelSoftmax, ScoreFunction
from experiments.data import Binarisation, Dataset
from experiments.optimisers import Adam
from experiments.problems import VAE, Problem, StructuredPrediction
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

_PAPER = "maddison2017"
_RATES = (3e-4, 1e-3, 1e-4)
_DECAYS = (0.0, 1e-2, 1e-1, 1.0)
_SPLITS = ("test", "train")
_SAMPLES = (1, 5, 50)
_DATA: dict[str, Dataset] = {
    "MNIST fixed binarization": "MNIST",
    "Omniglot fixed sampled binarization": "Omniglot",
}
# Of the prior and of the posterior, by number of classes.
_TEMPERATURES = {2: (1 / 2, 2 / 3), 4: (2 / 3, 1.0), 8: (2 / 5, 2 / 3)}
_NOTES = (
    "As published: fixed temperatures of prior and posterior, 1/2 and 2/3 (binary), 2/3 and 1 "
    "(4-ary), 2/5 and 2/3 (8-ary); relaxed densities in logit space; Adam; minibatches of 64; ~ "
    "is two tanh layers of 200 or 240 units; the discrete model is evaluated.",
    "Choices where the paper is silent: NVIL is centred, normalised and has its network on the "
    "layer's logits. Deviation: the paper stops VIMCO and NVIL early.",
    "Deviations: stochastic layers are not centred by a running mean; the prior's logits are "
    "learned; weight decays 0, 0.01, 0.1 and 1 are compared for each cell, not once for all "
    "cells, and only if the budget allows several variants.",
    "The paper trains for 10,000,000 steps and evaluates with 50,000 samples.",
)


def _scales(bound_samples: int) -> dict[str, Scale]:
    paper = Scale(steps=10_000_000, seeds=1, bound_samples=bound_samples)
    return usual_scales((3e-4, 1e-3), paper, many_cells=True)


def _estimator(label: str, classes: int) -> Estimator:
    if label == "Concrete":
        return GumbelSoftmax(_TEMPERATURES[classes][1])
    return ScoreFunction(NVIL(normalise=True)) if label == "NVIL" else VIMCO()


def _trained(problem: Problem, label: str, classes: int) -> TrainingExperiment:
    variants = (
        Variant(_estimator(label, classes), optimiser=Adam(weight_decay=decay)) for decay in _DECAYS
    )
    return TrainingExperiment(problem, tuple(variants), _RATES, Adam())


def _vae(label: str, classes: int, bits: int, samples: int, **settings) -> VAE:
    """Return a VAE with a number of bits per layer, in variables of a number of classes."""
    latent: Literal["Bernoulli", "Categorical"] = "Bernoulli" if classes == 2 else "Categorical"
    relaxed = label == "Concrete"
    return VAE(
        latent,
        bits // (classes.bit_length() - 1),
        classes,
        kl="relaxed-density" if relaxed else "sampled",
        prior_temperature=_TEMPERATURES[classes][0],
        num_samples=samples,
        coding="one-hot" if classes == 2 else "corners",
        batch_size=64,
        **settings,
    )


def _own(dataset: Dataset, binarisation: Binarisation) -> Binarisation:
    """Return the binarisation of a data set: the published file is MNIST's."""
    return binarisation if dataset == "MNIST" else "fixed"


def _others(samples: int) -> str:
    return "NVIL" if samples == 1 else "VIMCO"


def table1(binarisation: Binarisation) -> Table:
    """Return table 1: density estimation with binary layers, 96 numbers."""
    architectures = {
        "200H-784V (linear)": {"depth": 1},
        "200H-200H-784V (linear)": {"depth": 2},
        "200H~784V (nonlinear)": {"depth": 1, "hidden": "200-200"},
        "200H~200H~784V (nonlinear)": {"depth": 2, "hidden": "200-200"},
    }
    cells, predictions = [], []
    for (data, dataset), (architecture, settings), samples in itertools.product(
        _DATA.items(), architectures.items(), _SAMPLES
    ):
        part = f"{dataset}, {architecture}, m = {samples}"
        for label in ("Concrete", _others(samples)):
            problem = _vae(
                label,
                2,
                200,
                samples,
                dataset=dataset,
                binarisation=_own(dataset, binarisation),
                **settings,
            )
            numbers = {
                split: published(
                    _PAPER,
                    "Table 1",
                    dataset=data,
                    architecture=architecture,
                    estimator=label,
                    split=split,
                    notes=f"m={samples} training samples",
                )
                for split in _SPLITS
            }
            targets = tuple(
                Target(f"{part}: {split}", label, number, "negative_bound", split)
                for split, number in numbers.items()
            )
            cells.append(Cell(f"{part}, {label}", _trained(problem, label, 2), targets))
        if dataset == "MNIST":
            linear = "linear)" in architecture and "nonlinear" not in architecture
            order = (_others(samples), "Concrete") if linear else ("Concrete", _others(samples))
            predictions.append(
                Prediction(
                    f"{order[0]} is below {order[1]} ({part}, test)",
                    f"{part}: test",
                    order[:1],
                    order[1:],
                )
            )
    return Table(
        "maddison2017-table1",
        "Maddison et al. 2017, table 1: density estimation",
        tuple(cells),
        _scales(50_000),
        tuple(predictions),
        _NOTES,
    )


def table2(binarisation: Binarisation) -> Table:
    """Return table 2, of appendix E: layers of 240 bits in variables of 2, 4 and 8 classes."""
    arities = {2: "binary", 4: "4-ary", 8: "8-ary"}
    depths = {"240H~784V": 1, "240H~240H~784V": 2}
    cells = []
    for (data, dataset), (architecture, depth), samples in itertools.product(
        _DATA.items(), depths.items(), _SAMPLES
    ):
        part = f"{dataset}, {architecture}, m = {samples}"
        for classes, arity in arities.items():
            problem = _vae(
                "Concrete",
                classes,
                240,
                samples,
                depth=depth,
                hidden="240-240",
                dataset=dataset,
                binarisation=_own(dataset, binarisation),
            )
            targets = []
            for split in _SPLITS:
                where = {"dataset": data, "architecture": architecture, "split": split}
                where |= {"latents": f"240-dim hypercube, {arity}"}
                notes = f"m={samples} training samples"
                number = published(_PAPER, "Table 2 (Appendix E)", notes=notes, **where)
                targets.append(Target(f"{part}: {split}", arity, number, "negative_bound", split))
            cells.append(
                Cell(f"{part}, {arity}", _trained(problem, "Concrete", classes), tuple(targets))
            )
    return Table(
        "maddison2017-table2",
        "Maddison et al. 2017, table 2: arities",
        tuple(cells),
        _scales(50_000),
        (),
        (
            *_NOTES,
            "Misprint in the paper, left as it is: 1002.7 (4-ary, m = 1, Omniglot, train).",
        ),
    )


def figure4(binarisation: Binarisation) -> Table:
    """Return the table of figure 4: structured output prediction."""
    depths = {"392V-240H-240H-392V": 2, "392V-240H-240H-240H-392V": 3}
    cells = []
    for (architecture, depth), samples in itertools.product(depths.items(), _SAMPLES):
        part = f"{architecture}, m = {samples}"
        for label in ("Concrete", _others(samples)):
            problem = StructuredPrediction(
                size=240,
                depth=depth,
                num_samples=samples,
                binarisation=binarisation,
                batch_size=64,
            )
            targets = tuple(
                Target(
                    f"{part}: {split}",
                    label,
                    published(
                        _PAPER,
                        "Figure 4 (left table)",
                        architecture=architecture,
                        estimator=label,
                        split=split,
                        notes=f"m={samples} training samples",
                    ),
                    "negative_bound",
                    split,
                )
                for split in _SPLITS
            )
            cells.append(Cell(f"{part}, {label}", _trained(problem, label, 2), targets))
    parts = {f"{architecture}, m = {samples}" for architecture in depths for samples in (1, 5)}
    predictions = [
        Prediction(
            f"Concrete is below {_others(int(part[-1]))} ({part}, test)",
            f"{part}: test",
            ("Concrete",),
            (_others(int(part[-1])),),
        )
        for part in sorted(parts)
    ]
    predictions += [
        Prediction(
            f"VIMCO is below Concrete ({architecture}, m = 50, test)",
            f"{architecture}, m = 50: test",
            ("VIMCO",),
            ("Concrete",),
        )
        for architecture in depths
    ]
    scales = usual_scales(
        (3e-4, 1e-3), Scale(steps=10_000_000, bound_samples=100), bound_samples=100
    )
    return Table(
        "maddison2017-figure4",
        "Maddison et al. 2017, table of figure 4: structured output prediction",
        tuple(cells),
        scales,
        tuple(predictions),
        (*_NOTES, "Bounds are of 100 samples, as published."),
    )


TABLES = {
    "maddison2017-table1": table1,
    "maddison2017-table2": table2,
    "maddison2017-figure4": figure4,
}
