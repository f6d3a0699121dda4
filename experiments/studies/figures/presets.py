"""Figures of the studies that have commands of their own, at settings after the papers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from estimators import (
    REBAR,
    DisARM,
    Estimator,
    Exact,
    GumbelRao,
    GumbelSoftmax,
    LeaveOneOut,
    MuProp,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.problems import VAE, Problem, Quadratic
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.studies import training as train
from experiments.studies.comparison import compare
from experiments.studies.figures.study import STUDY
from experiments.studies.temperature import sweep as temperature
from experiments.training.convergence import TUNING_STEPS

_TEMPERATURES = tuple(float(t) for t in np.round(np.geomspace(0.05, 5, 13), 3))


@dataclasses.dataclass(frozen=True)
class Preset:
    """A study with a command of its own, at fixed settings, and the figure that is drawn of it.

    Attributes:
        name: the figure's name on the command line.
        title: what it shows, and after which paper.
        drawn_by: the module of `analysis.figures`.
        settings: of the study.
        temperatures: those that are swept; none for other studies.
    """

    name: str
    title: str
    drawn_by: str
    settings: compare.Settings | train.Settings
    temperatures: tuple[float, ...] = ()

    @property
    def tasks(self) -> Sequence[str]:
        """The estimators."""
        return [str(estimator) for estimator in self.settings.estimators]

    def configuration(self) -> dict[str, Any]:
        """Return what identifies the run."""
        settings = self.settings
        if isinstance(settings, train.Settings):
            about = settings.configuration()
        else:
            kind = temperature.STUDY if self.temperatures else compare.STUDY
            about = settings.configuration(kind) | {"temperatures": list(self.temperatures)}
        return about | {"figure": self.name, "title": self.title, "kind": STUDY}

    def run(self, results: Results, progress: Progress) -> None:
        """Run what is not there yet."""
        settings = self.settings
        if isinstance(settings, train.Settings):
            train.train(settings, results, progress)
        elif self.temperatures:
            temperature.sweep(settings, self.temperatures, results, progress)
        else:
            compare.compare(settings, results, progress)


def _tempered() -> list[Estimator]:
    return [
        GumbelSoftmax(0.5),
        StraightThroughGumbelSoftmax(0.5),
        GumbelRao(0.5),
        ReinMax(1.0),
        REBAR(0.5),
        ScoreFunction(LeaveOneOut(2)),
        DisARM(),
        StraightThrough(),
    ]


def _by_temperature(
    budget: str,
    name: str,
    problem: Problem,
    samples: int,
    estimators: Sequence[Estimator] | None = None,
) -> Preset:
    smoke = budget == "smoke"
    settings = compare.Settings(
        problem,
        list(estimators or _tempered())[: 3 if smoke else None],
        samples=64 if smoke else samples,
        train_steps=20 if smoke else 300,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
    temperatures = _TEMPERATURES[::6] if smoke else _TEMPERATURES
    title = f"Bias, variance and error by temperature: {problem}"
    return Preset(name, title, "temperature", settings, temperatures)


def temperature_toy(budget: str) -> Preset:
    """Return bias, variance and error by temperature on RELAX's toy."""
    return _by_temperature(budget, "temperature-toy", Quadratic(0.499), 1 << 15)


def temperature_vae(budget: str) -> Preset:
    """Return the same on the VAE that can be enumerated."""
    return _by_temperature(budget, "temperature-vae", VAE(), 1024)


def temperature_vae200(budget: str) -> Preset:
    """Return the same on the VAE of 200 bits, against a long run."""
    size = 8 if budget == "smoke" else 200  # else the long run alone takes minutes
    problem = VAE(size=size, kl="sampled-no-score")
    return _by_temperature(budget, "temperature-vae200", problem, 256)


def gumbel_rao_temperature(budget: str) -> Preset:
    """Return error by temperature of Gumbel-Rao (Paulus et al. 2021, figure 2b)."""
    estimators = [
        StraightThroughGumbelSoftmax(0.5),
        GumbelRao(0.5, 10),
        GumbelRao(0.5, 100),
        GumbelRao(0.5, 1000),
    ]
    problem = VAE("Categorical", 4, 4)
    name = "gumbel-rao-temperature"
    return _by_temperature(budget, name, problem, 512, estimators)


def _at_one_point(budget: str, name: str, title: str, drawn_by: str) -> Preset:
    smoke = budget == "smoke"
    settings = compare.Settings(
        VAE(),
        [Exact(), ScoreFunction(), MuProp(), *_tempered()][: 4 if smoke else None],
        samples=64 if smoke else 2048,
        train_steps=20 if smoke else 300,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
    return Preset(name, title, drawn_by, settings)


def bias_variance(budget: str) -> Preset:
    """Return the plane of bias and variance, with lines of equal error."""
    title = "Bias against variance: the enumerable VAE"
    return _at_one_point(budget, "bias-variance", title, "bias_variance")


def error_cost(budget: str) -> Preset:
    """Return error against cost."""
    title = "Error against cost: the enumerable VAE"
    return _at_one_point(budget, "error-cost", title, "error_cost")


def _training(
    budget: str,
    name: str,
    title: str,
    drawn_by: str,
    estimators: Sequence[Estimator],
    seeds: int,
    **more,
) -> Preset:
    smoke = budget == "smoke"
    settings = train.Settings(
        VAE(size=8 if smoke else 200, kl="sampled-no-score"),
        estimators[: 2 if smoke else None],
        steps=20 if smoke else 5000,
        seeds=min(seeds, 2) if smoke else seeds,
        bound_samples=10 if smoke else 100,
        evaluation_examples=32 if smoke else 1000,
        splits=("validation",),
        **more,
    )
    return Preset(name, title, drawn_by, settings)


def _trainers() -> list[Estimator]:
    return [ScoreFunction(LeaveOneOut(2)), DisARM(), GumbelSoftmax(0.5), REBAR(0.5)]


def training_curves(budget: str) -> Preset:
    """Return training curves with intervals over seeds."""
    title = "Training curves: 784-200-784"
    evaluations = 2 if budget == "smoke" else 10
    return _training(
        budget, "training-curves", title, "training", _trainers(), 5, evaluations=evaluations
    )


def variance_along_training(budget: str) -> Preset:
    """Return gradient variance along a training run, of all at the same parameters."""
    smoke = budget == "smoke"
    measured = [*_trainers(), MuProp()]
    return _training(
        budget,
        "variance-along-training",
        "Variance and bias along the training: 784-200-784",
        "along_training",
        [DisARM()],
        1,
        measured=measured[: 2 if smoke else None],
        measured_steps=(0, 10, 20) if smoke else (0, 50, 200, 500, 1000, 2000, 3500, 5000),
        samples=64 if smoke else 512,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
