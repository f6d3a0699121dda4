"""A world model's categorical states: their gradients, and what is learned with each estimator."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators import (
    Categorical,
    Estimator,
    Exact,
    GumbelRao,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.measurement.point import Instrument
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import WorldModel
from experiments.statistics import Estimate
from experiments.studies.figures.measured import error_rows, score_rows
from experiments.studies.figures.paired import difference, log_ratio, relative
from experiments.studies.figures.predictions import Of, Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.convergence import TUNING_STEPS
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

EXACT = "exact"
_UNBIASED = "score, leave-one-out"
_RATE = 3e-3
_ESTIMATORS: Mapping[str, Estimator] = {
    EXACT: Exact(),
    "straight-through": StraightThrough(),
    "ReinMax": ReinMax(),
    "Gumbel-softmax": GumbelSoftmax(1.0),
    "straight-through GS": StraightThroughGumbelSoftmax(1.0),
    "Gumbel-Rao": GumbelRao(1.0, 10),
    _UNBIASED: ScoreFunction(LeaveOneOut(2)),
    "score, moving average": ScoreFunction(MovingAverage(0.99)),
}
_IN_SMOKE = (EXACT, "straight-through", "ReinMax", _UNBIASED)


class _Size(NamedTuple):
    """How large the study is.

    Attributes:
        frames: of short and of long episodes; short ones are enumerated.
        batch: sequences of states that are drawn in a step, of either.
        steps: of training, with either; before gradients, as many as with long ones.
        seeds: of either.
        draws: gradients at a point.
    """

    frames: tuple[int, int]
    batch: tuple[int, int]
    steps: tuple[int, int]
    seeds: int
    draws: int


_SIZES = {
    "smoke": _Size((2, 4), (4, 4), (60, 60), 1, 256),
    "laptop": _Size((3, 8), (4, 32), (600, 5000), 5, 1 << 14),
}


def study(scale: str) -> Figure:
    """Return the study of gradients and training with short episodes, and training with long ones.

    Gradients are compared at the start and after training with leave-one-out. All are trained at
    one learning rate and draw as many sequences of states in a step, so leave-one-out sees half as
    many episodes.
    """
    size = _SIZES[scale]
    names = _IN_SMOKE if scale == "smoke" else tuple(_ESTIMATORS)
    sampled = [name for name in names if name != EXACT]
    tasks: dict[str, Callable] = {"gradients": functools.partial(_gradients, sampled, size)}
    problems: dict[str, str] = {}
    for place, frames in enumerate(size.frames):
        for name in names if place == 0 else sampled:  # 8 frames have 4 billion sequences
            task = f"{frames} frames, {name}"
            tasks[task] = functools.partial(_training, name, size, place)
            problems[task] = str(_problem(name, size, place))
    return figure_study(
        "world-model",
        "A world model's categorical states: gradients, and what is learned",
        "world_model",
        {
            "size": list(size),
            "rate": _RATE,
            "estimators": {one: str(_ESTIMATORS[one]) for one in names},
            "problems": problems,
        },
        tasks,
        PREDICTIONS,
    )


def _about(problem: WorldModel, name: str, step: int) -> Row:
    found = {"problem": str(problem), "objective": problem.objective, "data": problem.about_data}
    found |= {"panel": f"{problem.steps} frames", "name": name, "step": step}
    return found | estimator_columns(_ESTIMATORS[name])


def _problem(name: str, size: _Size, place: int) -> WorldModel:
    """Return the problem on which an estimator is trained."""
    problem = WorldModel(size.frames[place])
    one = Categorical(jnp.zeros(problem.step_shape))
    drawn = 1 if name == EXACT else problem.evaluations(_ESTIMATORS[name], one)
    return dataclasses.replace(problem, batch_size=size.batch[place] // drawn)


def _training(name: str, size: _Size, place: int, advance) -> list[Row]:
    """Train a model from each seed; return the scores of hard states."""
    problem, steps = _problem(name, size, place), size.steps[place]
    runs = [Run(seed, _RATE) for seed in range(size.seeds)]
    models, _ = train_several(Recipe(problem), runs, _ESTIMATORS[name], steps, advance)
    about = _about(problem, name, steps)
    return [about | row for row in score_rows(problem, models)]


def _gradients(names: Sequence[str], size: _Size, advance) -> list[Row]:
    """Return errors of the posterior's gradient with short episodes, at the start and trained."""
    problem = WorldModel(size.frames[0], batch_size=size.batch[0])
    start = problem.initial(jax.random.key(0))
    recipe, steps = Recipe(_problem(_UNBIASED, size, 0)), size.steps[1]
    (trained,), _ = train_several(
        recipe, [Run(0, _RATE)], _ESTIMATORS[_UNBIASED], steps, lambda done: advance(done / 4)
    )
    instrument, batch = Instrument(problem, problem.group), problem.batch(jax.random.key(1), None)
    rows: list[Row] = []
    for number, (step, params) in enumerate(((0, start), (steps, trained))):
        point = instrument.point(params, batch, jax.random.key(2))
        for place, name in enumerate(names, 1):
            key, other = jax.random.split(jax.random.key(3))
            tuned = point.ready(_ESTIMATORS[name], key, TUNING_STEPS)
            about = _about(problem, name, step) | {"group": problem.group}
            found = error_rows(point, tuned.estimator, other, size.draws, note=tuned.note)
            rows += [about | row for row in found]
            advance(0.25 + (number + place / len(names)) * 0.37)
    return rows


def _error(metric: str, name: str, trained: bool = True) -> Of:
    """Return squared bias or variance at 3 frames over the squared norm of the true gradient."""

    def of(rows: Sequence[Row]) -> Estimate:
        own = [row for row in rows if row["metric"] == "truth_norm"]
        last = max((row["step"] for row in own), default=0)
        return relative(rows, metric, name=name, step=last if trained else 0)

    return of


def _log_ratio(first: Of, second: Of) -> Of:
    return lambda rows: log_ratio(first(rows), second(rows))


def _apart(metric: str, first: str, second: str, frames: int = 8) -> Of:
    """Return by how much the mean score of models trained with first is above that of second."""
    one, other = (
        {"panel": f"{frames} frames", "metric": metric, "name": name} for name in (first, second)
    )
    return lambda rows: difference(rows, one, other)


PREDICTIONS = (
    Prediction(
        "at the start ReinMax's squared bias is below straight-through's (log ratio)",
        "Liu et al. 2023: exact for quadratics",
        _log_ratio(
            _error("squared_bias", "ReinMax", trained=False),
            _error("squared_bias", "straight-through", trained=False),
        ),
        high=0.0,
    ),
    Prediction(
        "after training ReinMax's squared bias is below straight-through's (log ratio)",
        "Liu et al. 2023: exact for quadratics",
        _log_ratio(_error("squared_bias", "ReinMax"), _error("squared_bias", "straight-through")),
        high=0.0,
    ),
    Prediction(
        "straight-through's relative squared bias is larger after training than at the start (log "
        "ratio)",
        "ours: the decoder learns to differ between states",
        _log_ratio(
            _error("squared_bias", "straight-through"),
            _error("squared_bias", "straight-through", trained=False),
        ),
        low=0.0,
    ),
    Prediction(
        "after training Gumbel-Rao's variance is below that of straight-through Gumbel-softmax "
        "(log ratio)",
        "Paulus et al. 2021: a conditional mean",
        _log_ratio(_error("variance", "Gumbel-Rao"), _error("variance", "straight-through GS")),
        high=0.0,
    ),
    Prediction(
        "after training Gumbel-Rao's squared bias is that of straight-through Gumbel-softmax (log "
        "ratio between -0.5 and 0.5)",
        "Paulus et al. 2021: a conditional mean",
        _log_ratio(
            _error("squared_bias", "Gumbel-Rao"), _error("squared_bias", "straight-through GS")
        ),
        low=-0.5,
        high=0.5,
    ),
    Prediction(
        "after training straight-through's variance is below that of the score function with a "
        "moving average (log ratio)",
        "Jang et al. 2017",
        _log_ratio(
            _error("variance", "straight-through"), _error("variance", "score, moving average")
        ),
        high=0.0,
    ),
    Prediction(
        "of 3 frames the exact gradient ends with a lower bound than straight-through (nats)",
        "folklore",
        _apart("episode_bound", EXACT, "straight-through", 3),
        high=0.0,
    ),
    Prediction(
        "of 3 frames the exact gradient ends with a lower bound than leave-one-out (nats)",
        "folklore",
        _apart("episode_bound", EXACT, _UNBIASED, 3),
        high=0.0,
    ),
    Prediction(
        "of 8 frames ReinMax ends with a lower bound than straight-through (nats)",
        "Liu et al. 2023, by analogy",
        _apart("episode_bound", "ReinMax", "straight-through"),
        high=0.0,
    ),
    Prediction(
        "of 8 frames straight-through, as in Dreamer, ends with a lower bound than leave-one-out "
        "(nats)",
        "folklore",
        _apart("episode_bound", "straight-through", _UNBIASED),
        high=0.0,
    ),
    Prediction(
        "of 8 frames leave-one-out ends with a lower bound than a moving average, which is common "
        "to all frames (nats)",
        "ours",
        _apart("episode_bound", _UNBIASED, "score, moving average"),
        high=0.0,
    ),
    Prediction(
        "of 8 frames Gumbel-softmax, whose hard states are not those that it learned with, ends "
        "with a higher bound than its straight-through form (nats)",
        "ours",
        _apart("episode_bound", "Gumbel-softmax", "straight-through GS"),
        low=0.0,
    ),
    Prediction(
        "of 8 frames ReinMax imagines later frames with less error than leave-one-out",
        "ours",
        _apart("imagined_error", "ReinMax", _UNBIASED),
        high=0.0,
    ),
)
"""What the papers and we expected before the first run at full size."""
