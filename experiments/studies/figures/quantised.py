"""Codes of an autoencoder: rate against distortion, use of the codes, and bias and variance."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from estimators import (
    MVE,
    Estimator,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.measurement.point import Instrument
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import VectorQuantised
from experiments.problems.quantised import Quantiser
from experiments.statistics import Estimate
from experiments.studies.figures.measured import error_rows, score_rows
from experiments.studies.figures.paired import difference, log_ratio, relative
from experiments.studies.figures.predictions import Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

_RATE = 1e-3
_EXACT_RATE = 3e-3
_MOST_OF_MVE = 16
"""Most codes of MVE, which solves a linear system of their number for each position."""


class _Coder(NamedTuple):
    """How codes are learned.

    Attributes:
        estimator: the estimator; of a deterministic quantiser any, at no cost.
        quantiser: the objective.
        kl_weight: weight of the divergence from uniform codes.
    """

    estimator: Estimator
    quantiser: Quantiser = "categorical"
    kl_weight: float = 0.0


_CODERS: Mapping[str, _Coder] = {
    "straight-through VQ": _Coder(ScoreFunction(), "straight-through"),
    "rotation": _Coder(ScoreFunction(), "rotation"),
    "ReinMax": _Coder(ReinMax()),
    "Gumbel-softmax": _Coder(GumbelSoftmax(0.5)),
    "straight-through GS": _Coder(StraightThroughGumbelSoftmax(0.5)),
    "straight-through": _Coder(StraightThrough()),
    "MVE": _Coder(MVE()),
    "score, leave-one-out": _Coder(ScoreFunction(LeaveOneOut(2))),
    "ReinMax, KL weight 1": _Coder(ReinMax(), kl_weight=1.0),
}


class _Size(NamedTuple):
    coders: int
    codes: tuple[int, ...]
    positions: int
    hidden: int
    batch: int
    steps: int
    seeds: int
    draws: int
    exact_steps: int


_SIZES = {
    "smoke": _Size(4, (8, 32), 4, 32, 20, 60, 1, 64, 10),
    "laptop": _Size(9, (16, 32, 64, 128, 256), 16, 256, 50, 1500, 3, 2048, 300),
}


def study(scale: str) -> Figure:
    """Return the study of MNIST images as a few codes, at one learning rate.

    Gradients of the encoder are measured where they are exact, with two positions of 16 codes.
    """
    size = _SIZES[scale]
    coders = dict(list(_CODERS.items())[: size.coders])
    exact = VectorQuantised(batch_size=4 if scale == "smoke" else 20)
    tasks: dict[str, Callable] = {
        "gradients": functools.partial(_gradients, exact, coders, size),
    }
    for name in coders:
        tasks[f"training, {name}"] = functools.partial(_training, name, size)
    return figure_study(
        "vector-quantised",
        "Images as codes: rate, distortion, use of the codes, and gradients",
        "quantised",
        {"size": list(size), "rate": _RATE, "exact": str(exact)},
        tasks,
        PREDICTIONS,
    )


def _gradients(
    problem: VectorQuantised, coders: Mapping[str, _Coder], size: _Size, advance
) -> list[Row]:
    """Return bias and variance of the encoder's gradient after brief exact training."""
    run, start = Run(0, _EXACT_RATE), lambda done: advance(done / 2)
    (params,), _ = train_several(Recipe(problem), [run], Exact(), size.exact_steps, start)
    batch = problem.batch(jax.random.key(1), problem.data())
    point = Instrument(problem, problem.group).point(params, batch, jax.random.key(2))
    shared = {"group": problem.group, "data": problem.about_data, "step": size.exact_steps}
    rows: list[Row] = []
    for number, (name, coder) in enumerate(coders.items()):
        own = dataclasses.replace(problem, quantiser=coder.quantiser, kl_weight=coder.kl_weight)
        about = shared | {"problem": str(own), "objective": own.objective, "name": name}
        about |= estimator_columns(coder.estimator)
        if own.no_truth:
            rows.append(about | {"metric": "skipped", "note": own.no_truth})
        elif own == problem:
            found = error_rows(point, coder.estimator, jax.random.key(3), size.draws)
            rows += [about | row for row in found]
        advance(0.5 + (number + 1) / len(coders) / 2)
    return rows


def _training(name: str, size: _Size, advance) -> list[Row]:
    """Train a coder with each number of codes; return the scores of the hard model."""
    coder = _CODERS[name]
    numbers = [n for n in size.codes if name != "MVE" or n <= _MOST_OF_MVE]
    rows: list[Row] = []
    for place, codes in enumerate(numbers):
        problem = VectorQuantised(
            positions=size.positions,
            codes=codes,
            hidden=size.hidden,
            batch_size=size.batch,
            quantiser=coder.quantiser,
            kl_weight=coder.kl_weight,
        )
        models, _ = train_several(
            Recipe(problem),
            [Run(seed, _RATE) for seed in range(size.seeds)],
            coder.estimator,
            size.steps,
            lambda done, place=place: advance((place + done) / len(numbers)),
        )
        shared = {"problem": str(problem), "objective": problem.objective, "name": name}
        shared |= {"data": problem.about_data, "split": "test", "step": size.steps}
        shared |= {"codes": codes} | estimator_columns(coder.estimator)
        rows += [shared | row for row in score_rows(problem, models)]
    return rows


def _apart(metric: str, first: str, second: str, codes: int, others: int | None = None) -> Callable:
    """Return the quantity: the metric of first, less that of second, perhaps with other codes."""

    def of(rows) -> Estimate:
        one = {"metric": metric, "name": first, "codes": codes}
        other = {"metric": metric, "name": second, "codes": others or codes}
        return difference(rows, one, other)

    return of


def _bias_ratio(first: str, second: str) -> Callable:
    def of(rows) -> Estimate:
        one, other = (relative(rows, "squared_bias", name=name) for name in (first, second))
        return log_ratio(one, other)

    return of


PREDICTIONS = (
    Prediction(
        "of 256 codes rotation uses more than straight-through VQ (perplexity over number)",
        "Fifty et al. 2024, abstract",
        _apart("usage", "rotation", "straight-through VQ", 256),
        low=0.0,
    ),
    Prediction(
        "with 256 codes rotation has less distortion than straight-through VQ",
        "Fifty et al. 2024, abstract",
        _apart("distortion", "rotation", "straight-through VQ", 256),
        high=0.0,
    ),
    Prediction(
        "with 64 codes ReinMax has less distortion than Gumbel-softmax",
        "Hooper and Shekhovtsov 2026, by analogy",
        _apart("distortion", "ReinMax", "Gumbel-softmax", 64),
        high=0.0,
    ),
    Prediction(
        "with 16 codes MVE has less distortion than Gumbel-softmax",
        "Hooper and Shekhovtsov 2026, by analogy",
        _apart("distortion", "MVE", "Gumbel-softmax", 16),
        high=0.0,
    ),
    Prediction(
        "with 256 codes the score function with leave-one-out has more distortion than "
        "straight-through",
        "folklore",
        _apart("distortion", "score, leave-one-out", "straight-through", 256),
        low=0.0,
    ),
    Prediction(
        "ReinMax has less distortion with 256 codes than with 16",
        "ours",
        _apart("distortion", "ReinMax", "ReinMax", 256, 16),
        high=0.0,
    ),
    Prediction(
        "the divergence from uniform codes raises ReinMax's use of 256 codes",
        "what that term is for",
        _apart("usage", "ReinMax, KL weight 1", "ReinMax", 256),
        low=0.0,
    ),
    Prediction(
        "where it is exact, ReinMax's squared bias is below straight-through's (log ratio)",
        "derived: exact for quadratics",
        _bias_ratio("ReinMax", "straight-through"),
        high=0.0,
    ),
    Prediction(
        "where it is exact, MVE's squared bias is below Gumbel-softmax's (log ratio)",
        "derived: exact for quadratics",
        _bias_ratio("MVE", "Gumbel-softmax"),
        high=0.0,
    ),
)
