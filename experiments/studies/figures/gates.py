"""Pruning by gates: test error against units kept, and the gradient's errors at twelve gates."""

import dataclasses
import functools
from collections.abc import Sequence

import jax

from estimators import (
    ARM,
    REBAR,
    DisARM,
    Estimator,
    LeaveOneOut,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.measurement.point import prepare
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import Gates
from experiments.studies.figures.measured import error_rows, score_rows
from experiments.studies.figures.paired import difference, log_ratio, relative
from experiments.studies.figures.predictions import Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

_RATE = 1e-3
_HARD, _STRAIGHT, _GUMBEL = "hard concrete", "straight-through", "straight-through Gumbel-softmax"
_ARM, _DISARM, _EACH = "ARM", "DisARM", "DisARM, gates of each image"
_GROUP, _REBAR, _SCORE = "leave-one-out", "REBAR", "score function, moving average"

_MEMBERS: dict[str, Estimator] = {
    _HARD: Pathwise(),
    _STRAIGHT: StraightThrough(),
    _GUMBEL: StraightThroughGumbelSoftmax(2 / 3),
    _ARM: ARM(),
    _DISARM: DisARM(),
    _EACH: DisARM(),
    _GROUP: ScoreFunction(LeaveOneOut(2)),
    _REBAR: REBAR(2 / 3),
    _SCORE: ScoreFunction(MovingAverage(0.9)),
}


def study(scale: str) -> Figure:
    """Return the study of networks pruned at several penalties, and of the gates' gradient.

    The network, its initial gates and the batch of 100 are those of Louizos et al. 2018, whose runs
    are 40 times longer; the factor of the gates' rate is that of Li and Ji 2019.
    """
    smoke = scale == "smoke"
    hidden, steps, seeds, samples = ("16", 300, 2, 512) if smoke else ("300-100", 2500, 3, 1 << 14)
    # At full size 0.025, 0.1 and 0.4 over the number of images.
    penalties = (5e-5, 2e-4) if smoke else (5e-7, 2e-6, 8e-6)
    names = [_HARD, _STRAIGHT, _ARM, _DISARM] if smoke else list(_MEMBERS)
    network = Gates(hidden=hidden, gated="all")
    tasks = {
        f"{name}, penalty {penalty:g}": functools.partial(
            _pruned, _problem(network, name, penalty), name, steps, seeds
        )
        for name in names
        for penalty in penalties
    }
    bits = [name for name in names if name not in (_HARD, _EACH)]
    tasks |= {"gradients": functools.partial(_gradients, bits, samples, 20 if smoke else 300)}
    return figure_study(
        "gates",
        "Units kept by gates, and the test error (after Louizos et al. 2018)",
        "gates",
        {
            "network": str(network),
            "twelve": str(Gates()),
            "penalties": list(penalties),
            "steps": steps,
            "seeds": seeds,
            "rate": _RATE,
            "samples": samples,
            "members": {name: str(_MEMBERS[name]) for name in names},
        },
        tasks,
        _predictions(penalties[1]),
    )


def _problem(network: Gates, name: str, penalty: float) -> Gates:
    """Return the network that a line of the figure trains."""
    law = "HardConcrete" if name == _HARD else "Bernoulli"
    return dataclasses.replace(network, law=law, shared=name != _EACH, penalty=penalty)


def _pruned(problem: Gates, name: str, steps: int, seeds: int, advance) -> list[Row]:
    """Train several seeds; return the scores of their pruned networks on test images."""
    estimator = _MEMBERS[name]
    runs = [Run(seed, _RATE) for seed in range(seeds)]
    models, _ = train_several(Recipe(problem), runs, estimator, steps, advance)
    shared = {"problem": str(problem), "data": problem.about_data, "steps": steps, "name": name}
    shared |= {"panel": "pruning", "penalty": problem.penalty} | estimator_columns(estimator)
    return [shared | row for row in score_rows(problem, models)]


def _gradients(names: Sequence[str], samples: int, steps: int, advance) -> list[Row]:
    """Return bias and variance of the gradient of twelve gates, enumerated."""
    problem = Gates()
    point = prepare(problem, jax.random.key(0), train_steps=steps)
    rows: list[Row] = []
    for number, name in enumerate(names):
        estimator = point.ready(_MEMBERS[name], jax.random.key(1), 400).estimator
        shared = {"problem": str(problem), "name": name, "panel": "gradients", "steps": steps}
        shared |= estimator_columns(_MEMBERS[name])
        rows += [shared | row for row in error_rows(point, estimator, jax.random.key(2), samples)]
        advance((number + 1) / len(names))
    return rows


def _predictions(penalty: float) -> list[Prediction]:
    li = "Li and Ji 2019, arXiv:1904.04432"

    def gap(metric: str, *names: str):
        """Compare networks that are pruned at this penalty."""
        first, second = (
            {"name": name, "panel": "pruning", "penalty": penalty, "metric": metric}
            for name in names
        )
        return lambda rows: difference(rows, first, second)

    def noise(*names: str):
        return lambda rows: log_ratio(
            *(relative(rows, "variance", name=name, panel="gradients") for name in names)
        )

    return [
        Prediction(
            "twelve gates: DisARM varies less than ARM",
            "Dong et al. 2020, arXiv:2006.10680, proved",
            noise(_DISARM, _ARM),
            high=0.0,
        ),
        Prediction(
            "twelve gates: DisARM varies less than leave-one-out over two samples",
            "Dong et al. 2020, in experiments",
            noise(_DISARM, _GROUP),
            high=0.0,
        ),
        Prediction(
            "twelve gates: leave-one-out varies less than a moving average",
            "Kool et al. 2019, arXiv:1903.01606",
            noise(_GROUP, _SCORE),
            high=0.0,
        ),
        Prediction(
            "twelve gates: straight-through's squared bias is above 0.1 % of the gradient's square",
            "ours: the cross-entropy is not linear in a gate",
            lambda rows: relative(rows, "squared_bias", name=_STRAIGHT, panel="gradients"),
            low=0.001,
        ),
        Prediction(
            "equal penalty: DisARM keeps no more gates than hard concrete does",
            f"{li}: ARM prunes at least as much",
            gap("kept", _DISARM, _HARD),
            high=0.0,
        ),
        Prediction(
            "equal penalty: its test error is at most half a point higher",
            f"{li}: at equal error",
            gap("error", _DISARM, _HARD),
            high=0.005,
        ),
        Prediction(
            "equal penalty: straight-through's test error is at most half a point above DisARM's",
            "from memory: straight-through is competitive",
            gap("error", _STRAIGHT, _DISARM),
            high=0.005,
        ),
        Prediction(
            "equal penalty: straight-through keeps fewer gates than DisARM",
            "ours: the loss is convex along a gate, so its slope at an open gate is too flat",
            gap("kept", _STRAIGHT, _DISARM),
            high=0.0,
        ),
        Prediction(
            "equal penalty: a gate vector for each image lowers DisARM's test error",
            "ours: the same objective, with the noise of one image on its own gates",
            gap("error", _EACH, _DISARM),
            high=0.0,
        ),
    ]
