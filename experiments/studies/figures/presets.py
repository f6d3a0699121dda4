"""Figures of studies that have their own command, with settings as in the papers."""

from collections.abc import Sequence

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
from experiments.studies.comparison.settings import CompareSettings
from experiments.studies.comparison.study import comparison
from experiments.studies.figures.study import Figure, preset
from experiments.studies.temperature.study import TEMPERATURES, temperature_sweep
from experiments.studies.training.settings import TrainSettings
from experiments.studies.training.study import training
from experiments.training.convergence import TUNING_STEPS


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
) -> Figure:
    smoke = scale == "smoke"
    settings = CompareSettings(
        problem,
        list(estimators or _tempered())[: 3 if smoke else None],
        samples=64 if smoke else samples,
        train_steps=20 if smoke else 300,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
    sweep = temperature_sweep(settings, TEMPERATURES[::6] if smoke else TEMPERATURES)
    title = f"Bias, variance and error by temperature: {problem}"
    return preset(name, title, "temperature", sweep)


def temperature_toy(scale: str) -> Figure:
    """Return bias, variance and error by temperature on RELAX's toy."""
    return _by_temperature(scale, "temperature-toy", Quadratic(0.499), 1 << 15)


def temperature_vae(scale: str) -> Figure:
    """Return bias, variance and error by temperature on the VAE that can be enumerated."""
    return _by_temperature(scale, "temperature-vae", VAE(), 1024)


def temperature_vae200(scale: str) -> Figure:
    """Return bias, variance and error by temperature on the VAE of 200 bits, against a long run."""
    size = 8 if scale == "smoke" else 200  # otherwise the long run alone takes minutes
    problem = VAE(size=size, kl="sampled-no-score")
    return _by_temperature(scale, "temperature-vae200", problem, 256)


def gumbel_rao_temperature(scale: str) -> Figure:
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


def _at_one_point(scale: str, name: str, title: str, drawn_by: str) -> Figure:
    smoke = scale == "smoke"
    settings = CompareSettings(
        VAE(),
        [Exact(), ScoreFunction(), MuProp(), *_tempered()][: 4 if smoke else None],
        samples=64 if smoke else 2048,
        train_steps=20 if smoke else 300,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
    return preset(name, title, drawn_by, comparison(settings))


def bias_variance(scale: str) -> Figure:
    """Return the figure of bias against variance."""
    title = "Bias against variance: the enumerable VAE"
    return _at_one_point(scale, "bias-variance", title, "bias_variance")


def error_cost(scale: str) -> Figure:
    """Return the figure of error against cost."""
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
) -> Figure:
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
    return preset(name, title, drawn_by, training(settings))


def _trainers() -> list[Estimator]:
    return [ScoreFunction(LeaveOneOut(2)), DisARM(), GumbelSoftmax(0.5), REBAR(0.5)]


def training_curves(scale: str) -> Figure:
    """Return the figure of training curves, with intervals over seeds."""
    title = "Training curves: 784-200-784"
    evaluations = 2 if scale == "smoke" else 10
    return _training(
        scale, "training-curves", title, "training", _trainers(), 5, evaluations=evaluations
    )


def variance_along_training(scale: str) -> Figure:
    """Return gradient variance during a training run, for all estimators at the same parameters."""
    smoke = scale == "smoke"
    measured = [*_trainers(), MuProp()]
    return _training(
        scale,
        "variance-along-training",
        "Variance and bias during training: 784-200-784",
        "along_training",
        [DisARM()],
        1,
        measured=measured[: 2 if smoke else None],
        measured_steps=(0, 10, 20) if smoke else (0, 50, 200, 500, 1000, 2000, 3500, 5000),
        samples=64 if smoke else 512,
        tuning_steps=5 if smoke else TUNING_STEPS,
    )
