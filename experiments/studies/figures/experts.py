"""Routers of a mixture of experts: bias and variance of their gradients, and what they learn."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from estimators import (
    SIMPLE,
    Estimator,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    RadauStraightThrough,
    ReinMax,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.measurement.point import Instrument, Point
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import Experts
from experiments.statistics import Estimate
from experiments.studies.figures.measured import error_rows, score_rows
from experiments.studies.figures.paired import difference, log_ratio, relative
from experiments.studies.figures.predictions import Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.convergence import TUNING_STEPS
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

EVERYBODY = "softmax-weighted"
"""The name of the router that draws nothing."""

_RATE = 1e-3
_LOADS = (0.0, 0.01)
_METRICS = ("squared_bias", "variance", "cosine_mean", "truth_norm")
_ROUTERS: Mapping[int, Mapping[str, Estimator]] = {
    1: {
        "exact": Exact(),
        "straight-through": StraightThrough(),
        "Radau (SparseMixer)": RadauStraightThrough(),
        "ReinMax": ReinMax(),
        "Gumbel-softmax": GumbelSoftmax(0.5),
        "straight-through GS": StraightThroughGumbelSoftmax(0.5),
        "score function": ScoreFunction(),
        "score, moving average": ScoreFunction(MovingAverage(0.99)),
        "score, leave-one-out": ScoreFunction(LeaveOneOut(2)),
    },
    2: {
        "exact": Exact(),
        "SIMPLE": SIMPLE(),
        "second order": SecondOrderStraightThrough(),
        "score function": ScoreFunction(),
        "score, leave-one-out": ScoreFunction(LeaveOneOut(2)),
    },
}
"""By how many experts are asked: the sampled routers, by name."""


class _Size(NamedTuple):
    batch: int
    draws: int
    exact_steps: int
    steps: int
    seeds: int


_SIZES = {"smoke": _Size(20, 64, 20, 100, 1), "laptop": _Size(100, 2048, 2000, 5000, 5)}


def study(scale: str) -> Figure:
    """Return the study of one and two experts of eight, on MNIST.

    Gradients of the router are measured at the start and after training with the exact one. Each
    router is trained without and with the load loss, at one learning rate.
    """
    size = _SIZES[scale]
    tops = (1,) if scale == "smoke" else (1, 2)
    tasks: dict[str, Callable] = {}
    for top in tops:
        problem = Experts(top=top, batch_size=size.batch)
        names = [EVERYBODY, *_ROUTERS[top]]
        names = names[:4] if scale == "smoke" else names
        tasks[f"gradients, top {top}"] = functools.partial(_gradients, problem, names[1:], size)
        for name in names:
            tasks[f"training, top {top}, {name}"] = functools.partial(
                _training, problem, name, size
            )
    return figure_study(
        "experts",
        "Routers of a mixture of experts: their gradients, error and load",
        "experts",
        {"size": list(size), "tops": list(tops), "rate": _RATE, "load_weights": list(_LOADS)},
        tasks,
        PREDICTIONS,
    )


def _gradients(problem: Experts, names: list[str], size: _Size, advance) -> list[Row]:
    """Return bias and variance of the router's gradients, at the start and after training."""
    instruments = {
        router: Instrument(dataclasses.replace(problem, router=router), problem.group)
        for router in ("sampled", "sampled-weighted", EVERYBODY)
    }
    start = problem.initial(jax.random.key(0))
    batch = problem.batch(jax.random.key(1), problem.data())
    run = Run(0, _RATE)
    (trained,), _ = train_several(
        Recipe(problem), [run], Exact(), size.exact_steps, lambda done: advance(done / 2)
    )
    rows: list[Row] = []
    for step, params in ((0, start), (size.exact_steps, trained)):
        points = {
            router: one.point(params, batch, jax.random.key(2))
            for router, one in instruments.items()
        }
        point = points["sampled"]
        found = [_everybody(points, router) for router in ("sampled", "sampled-weighted")]
        for number, name in enumerate(names):
            found.append(_measured(point, name, _ROUTERS[problem.top][name], size.draws))
            advance(0.5 + (number + 1) / len(names) * (0.25 if step else 0.125))
        rows += [{"step": step} | row for own in found for row in own]
    shared = {"panel": f"top {problem.top}", "group": problem.group, "data": problem.about_data}
    return [shared | row for row in rows]


def _measured(point: Point, name: str, estimator: Estimator, draws: int) -> list[Row]:
    key, other = jax.random.split(jax.random.key(3))
    tuned = point.ready(estimator, key, TUNING_STEPS)
    problem = point.problem
    shared = {"problem": str(problem), "objective": problem.objective, "name": name}
    shared |= estimator_columns(estimator)
    found = error_rows(point, tuned.estimator, other, draws, _METRICS, tuned.note)
    return [shared | row for row in found]


def _everybody(points: Mapping[str, Point], router: str) -> list[Row]:
    """Return the error of the softmax-weighted router's gradient for another objective."""
    own, point = points[EVERYBODY], points[router]
    gradient, truth = (np.asarray(one.truth.mean, np.float64) for one in (own, point))
    norm = np.linalg.norm(truth)
    values = {
        "squared_bias": np.sum((gradient - truth) ** 2),
        "variance": 0.0,
        "cosine_mean": gradient @ truth / norm / np.linalg.norm(gradient),
        "truth_norm": norm,
    }
    shared = {"problem": str(own.problem), "objective": point.problem.objective, "name": EVERYBODY}
    shared |= estimator_columns(Exact())
    return [
        shared | {"metric": metric} | Estimate.student(float(value)).interval()
        for metric, value in values.items()
    ]


def _training(problem: Experts, name: str, size: _Size, advance) -> list[Row]:
    """Train a router without and with the load loss; return the scores of the hard model."""
    router = EVERYBODY if name == EVERYBODY else "sampled"
    estimator = Exact() if name == EVERYBODY else _ROUTERS[problem.top][name]
    rows: list[Row] = []
    for number, weight in enumerate(_LOADS):
        own = dataclasses.replace(problem, router=router, load_weight=weight)
        runs = [Run(seed, _RATE) for seed in range(size.seeds)]
        models, _ = train_several(
            Recipe(own),
            runs,
            estimator,
            size.steps,
            lambda done, number=number: advance((number + done) / len(_LOADS)),
        )
        shared = {"problem": str(own), "objective": own.objective, "data": own.about_data}
        shared |= {"panel": f"top {own.top}", "name": name, "load_weight": weight}
        shared |= {"split": "test", "step": size.steps} | estimator_columns(estimator)
        rows += [shared | row for row in score_rows(own, models)]
    return rows


def _score(metric: str, name: str, load_weight: float = 0.0) -> dict[str, object]:
    return {"panel": "top 1", "metric": metric, "name": name, "load_weight": load_weight}


def _bias(rows, name: str, step: int, panel: str = "top 1", metric: str = "squared_bias"):
    columns = {"panel": panel, "name": name, "step": step}
    return relative(rows, metric, **columns)


def _last(rows) -> int:
    """Return the step at which trained models are measured."""
    return max((row["step"] for row in rows if row["metric"] == "truth_norm"), default=0)


def _error_apart(first: str, second: str) -> Callable:
    return lambda rows: difference(rows, _score("error", first), _score("error", second))


PREDICTIONS = (
    Prediction(
        "the exact router's test error is not above that of leave-one-out by more than 0.3 points",
        "folklore",
        _error_apart("exact", "score, leave-one-out"),
        high=0.003,
    ),
    Prediction(
        "the exact router's test error is not above that of ReinMax by more than 0.3 points",
        "folklore",
        _error_apart("exact", "ReinMax"),
        high=0.003,
    ),
    Prediction(
        "without a baseline the score function's error is above that with leave-one-out",
        "ours",
        _error_apart("score function", "score, leave-one-out"),
        low=0.0,
    ),
    Prediction(
        "without the load loss the softmax-weighted router uses its experts less evenly than the "
        "exact one",
        "folklore",
        lambda rows: difference(rows, _score("usage", EVERYBODY), _score("usage", "exact")),
        high=0.0,
    ),
    Prediction(
        "the load loss raises the softmax-weighted router's use of its experts",
        "what that loss is for",
        lambda rows: difference(
            rows, _score("usage", EVERYBODY, _LOADS[1]), _score("usage", EVERYBODY)
        ),
        low=0.0,
    ),
    Prediction(
        "straight-through's relative squared bias is larger after training, where experts differ, "
        "than at the start (log ratio)",
        "derived: of first order in the difference of f",
        lambda rows: log_ratio(
            _bias(rows, "straight-through", _last(rows)), _bias(rows, "straight-through", 0)
        ),
        low=0.0,
    ),
    Prediction(
        "after training ReinMax's squared bias is below straight-through's (log ratio)",
        "derived: exact for quadratics",
        lambda rows: log_ratio(
            _bias(rows, "ReinMax", _last(rows)), _bias(rows, "straight-through", _last(rows))
        ),
        high=0.0,
    ),
    Prediction(
        "after training Radau's squared bias is below straight-through's (log ratio)",
        "derived: exact for cubics along rays",
        lambda rows: log_ratio(
            _bias(rows, "Radau (SparseMixer)", _last(rows)),
            _bias(rows, "straight-through", _last(rows)),
        ),
        high=0.0,
    ),
    Prediction(
        "of two experts of eight, second order has less bias than SIMPLE after training (log "
        "ratio)",
        "derived: exact for quadratics",
        lambda rows: log_ratio(
            _bias(rows, "second order", _last(rows), "top 2"),
            _bias(rows, "SIMPLE", _last(rows), "top 2"),
        ),
        high=0.0,
    ),
    Prediction(
        "after training Radau's variance is above ReinMax's (log ratio)",
        "derived: that of a score function",
        lambda rows: log_ratio(
            _bias(rows, "Radau (SparseMixer)", _last(rows), metric="variance"),
            _bias(rows, "ReinMax", _last(rows), metric="variance"),
        ),
        low=0.0,
    ),
)
