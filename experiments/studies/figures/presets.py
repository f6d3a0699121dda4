"""Figures of the studies that have commands of their own, at settings after the papers."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
from experiments.measurement.point import Row
from experiments.problems import VAE, Problem, Quadratic
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.comparison.settings import CompareSettings
from experiments.studies.comparison.study import Comparison
from experiments.studies.figures.study import STUDY
from experiments.studies.temperature.study import TEMPERATURES, TemperatureSweep
from experiments.studies.training.settings import TrainSettings
from experiments.studies.training.study import Training
from experiments.training.convergence import TUNING_STEPS


@dataclasses.dataclass(frozen=True)
class Preset(Study[Estimator]):
    """A study that has a command of its own, at fixed settings, and the figure drawn from it.

    Attributes:
        figure: the figure's name on the command line.
        title: what it shows, and after which paper.
        drawn_by: the module of `analysis.figures` that draws it.
        study: the study.
    """

    figure: str
    title: str
    drawn_by: str
    study: Study[Estimator]

    @property
    def name(self) -> str:
        """The figure's name."""
        return self.figure

    @property
    def parts(self) -> Mapping[str, Estimator]:
        """The estimators."""
        return self.study.parts

    def configuration(self) -> dict[str, Any]:
        """Return the settings of the study and the figure as plain values."""
        about = {"figure": self.figure, "title": self.title, "kind": STUDY}
        return self.study.configuration() | about

    @property
    def modules(self) -> set[str]:
        """The names of the study's modules."""
        return self.study.modules

    def done(self, rows: Sequence[Row]) -> set[str]:
        """Return the study's parts that are done."""
        return self.study.done(rows)

    def run(
        self, parts: Mapping[str, Estimator], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        """Run the study."""
        return self.study.run(parts, results, progress)


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
    scale: str,
    name: str,
    problem: Problem,
    samples: int,
    estimators: Sequence[Estimator] | None = None,
) -> Preset:
    smoke = scale == "smoke"
    settings = CompareSettings(
        problem,
        list(estimators or _tempered())[: 3 if smoke else None],
        samples=64 if smoke else samples,
        train_steps=20 if smoke else 300,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
    sweep = TemperatureSweep(settings, TEMPERATURES[::6] if smoke else TEMPERATURES)
    title = f"Bias, variance and error by temperature: {problem}"
    return Preset(name, title, "temperature", sweep)


def temperature_toy(scale: str) -> Preset:
    """Return bias, variance and error by temperature on RELAX's toy."""
    return _by_temperature(scale, "temperature-toy", Quadratic(0.499), 1 << 15)


def temperature_vae(scale: str) -> Preset:
    """Return the same on the VAE that can be enumerated."""
    return _by_temperature(scale, "temperature-vae", VAE(), 1024)


def temperature_vae200(scale: str) -> Preset:
    """Return the same on the VAE of 200 bits, against a long run."""
    size = 8 if scale == "smoke" else 200  # else the long run alone takes minutes
    problem = VAE(size=size, kl="sampled-no-score")
    return _by_temperature(scale, "temperature-vae200", problem, 256)


def gumbel_rao_temperature(scale: str) -> Preset:
    """Return error by temperature of Gumbel-Rao (Paulus et al. 2021, figure 2b)."""
    estimators = [
        StraightThroughGumbelSoftmax(0.5),
        GumbelRao(0.5, 10),
        GumbelRao(0.5, 100),
        GumbelRao(0.5, 1000),
    ]
    problem = VAE("Categorical", 4, 4)
    name = "gumbel-rao-temperature"
    return _by_temperature(scale, name, problem, 512, estimators)


def _at_one_point(scale: str, name: str, title: str, drawn_by: str) -> Preset:
    smoke = scale == "smoke"
    settings = CompareSettings(
        VAE(),
        [Exact(), ScoreFunction(), MuProp(), *_tempered()][: 4 if smoke else None],
        samples=64 if smoke else 2048,
        train_steps=20 if smoke else 300,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
    return Preset(name, title, drawn_by, Comparison(settings))


def bias_variance(scale: str) -> Preset:
    """Return the plane of bias and variance, with lines of equal error."""
    title = "Bias against variance: the enumerable VAE"
    return _at_one_point(scale, "bias-variance", title, "bias_variance")


def error_cost(scale: str) -> Preset:
    """Return error against cost."""
    title = "Error against cost: the enumerable VAE"
    return _at_one_point(scale, "error-cost", title, "error_cost")


def _training(
    scale: str,
    name: str,
    title: str,
    drawn_by: str,
    estimators: Sequence[Estimator],
    seeds: int,
    **more,
) -> Preset:
    smoke = scale == "smoke"
    settings = TrainSettings(
        VAE(size=8 if smoke else 200, kl="sampled-no-score"),
        estimators[: 2 if smoke else None],
        steps=20 if smoke else 5000,
        seeds=min(seeds, 2) if smoke else seeds,
        bound_samples=10 if smoke else 100,
        evaluation_examples=32 if smoke else 1000,
        splits=("validation",),
        **more,
    )
    return Preset(name, title, drawn_by, Training(settings))


def _trainers() -> list[Estimator]:
    return [ScoreFunction(LeaveOneOut(2)), DisARM(), GumbelSoftmax(0.5), REBAR(0.5)]


def training_curves(scale: str) -> Preset:
    """Return training curves with intervals over seeds."""
    title = "Training curves: 784-200-784"
    evaluations = 2 if scale == "smoke" else 10
    return _training(
        scale, "training-curves", title, "training", _trainers(), 5, evaluations=evaluations
    )


def variance_along_training(scale: str) -> Preset:
    """Return gradient variance along a training run, of all at the same parameters."""
    smoke = scale == "smoke"
    measured = [*_trainers(), MuProp()]
    return _training(
        scale,
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
