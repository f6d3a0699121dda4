"""Rough times of the parts of a study, from a timing of one of its gradients."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from estimators import Continuous, Estimator, Exact, Pathwise, ScoreFunction, frozen
from experiments.measurement.point import REFERENCE_SHARE, reference_estimator
from experiments.measurement.timing import Timer
from experiments.problems import Problem
from experiments.running.study import Study
from experiments.running.user_code import parse_problem
from experiments.studies.atlas.choice import AtlasPoint
from experiments.studies.atlas.study import Cell as AtlasCell
from experiments.studies.comparison.point_study import TIMES
from experiments.studies.diagnosis.model import Model
from experiments.studies.reproduction.table import Cell, Scale
from experiments.training import is_tuned

_PROGRAMS = 2
"""Programs that a part compiles: those that draw or train, and those that time or evaluate."""

_OF_TIMES = 0.1
"""Seconds of the timing of an estimator."""


class Taken(NamedTuple):
    """What a timing found.

    Attributes:
        compilation: seconds to compile a gradient.
        evaluation: seconds of a gradient, divided by its evaluations of f.
    """

    compilation: float
    evaluation: float


Rough = Callable[[], Mapping[str, float]]
"""Returns the seconds of parts by name, of those for which it knows them."""


def seconds(study: Study[Any], problem: Problem | Model) -> dict[str, float]:
    """Return the rough times of the parts of a measurement or of training, by name.

    A gradient of the score function, or of the pathwise estimator for continuous variables, is
    compiled and timed on one device. Estimators are taken to need as long for an evaluation of f,
    and as long to compile; those that are tuned, all tuning steps. Evaluation and measurement
    during training, and the samples that `--precision` adds, are not counted.

    Args:
        study: the study.
        problem: its problem, or the user's model.
    """
    members = {
        name: list(one) if isinstance(one, Sequence) else [one] for name, one in study.parts.items()
    }
    distribution = _point(problem)[2]
    fits = {
        name: [one for one in each if problem.refusal(one, distribution) is None]
        for name, each in members.items()
    }
    taken, about = _timed(problem), study.configuration

    def gradients(one: Estimator) -> float:
        """Return the evaluations of f, one after another, that an estimator takes."""
        if about["study"] != "train":
            return _of_measuring(problem, one, about["samples"], about["tuning_steps"])
        temperatures = max(len(about["temperatures"]), 1)
        runs = len(about["learning_rates"]) * temperatures * about["seeds"]
        rounds = -(-runs // len(jax.devices()))
        return problem.evaluations(one, distribution) * about["steps"] * rounds

    found = {
        name: _PROGRAMS * taken.compilation + taken.evaluation * sum(map(gradients, each))
        if each
        else 0.0
        for name, each in fits.items()
    }
    if TIMES in found:
        found[TIMES] = len(fits[TIMES]) * _OF_TIMES
        start = next(iter(found))
        found[start] += taken.compilation + taken.evaluation * _of_point(problem, about)
    return found


def of_cells(cells: Sequence[Cell], size: Scale) -> dict[str, float]:
    """Return the rough times of the cells of a table that train, by name, as `seconds`."""
    devices, found = len(jax.devices()), {}
    for cell in cells:
        if isinstance(cell.experiment, str):  # why it is skipped
            found[cell.name] = 0.0
        elif batches := cell.experiment.batches(size):
            found[cell.name] = sum(
                _PROGRAMS * _timed(problem).compilation
                + _timed(problem).evaluation
                * problem.evaluations(estimator, _point(problem)[2])
                * steps
                * -(-runs // devices)
                for problem, estimator, steps, runs in batches
            )
    return found


def of_atlas(cells: Mapping[str, AtlasCell], tuning_steps: int) -> dict[str, float]:
    """Return the rough times of cells of the atlas, by name, as `seconds`.

    Args:
        cells: the cells by name; the first of a point trains it and finds the true gradient.
        tuning_steps: the steps of an estimator that is tuned.
    """
    found, problems = {}, {}
    seen: set[AtlasPoint] = set()
    for name, (point, one) in cells.items():
        problem = problems.setdefault(point.problem, parse_problem(point.problem))
        if problem.refusal(one, _point(problem)[2]) is not None:
            found[name] = 0.0
            continue
        taken = _timed(problem)
        evaluations = _of_measuring(problem, one, point.samples, tuning_steps)
        if point not in seen:
            seen.add(point)
            about = {"at": None, "train_steps": point.steps, "samples": point.samples}
            evaluations += _of_point(problem, about)
        found[name] = _PROGRAMS * taken.compilation + taken.evaluation * evaluations
    return found


def _of_measuring(
    problem: Problem | Model, one: Estimator, samples: int, tuning_steps: int
) -> float:
    """Return the evaluations of f, one after another, that tuning and measuring take."""
    # An enumeration without noise is computed once.
    drawn = 1 if isinstance(one, Exact) else samples / len(jax.devices())
    tuning = tuning_steps if is_tuned(one) else 0
    return problem.evaluations(one, _point(problem)[2]) * (drawn + tuning)


def _of_point(problem: Problem | Model, about: Mapping[str, Any]) -> float:
    """Return the evaluations of f that train a point and find its true gradient."""
    distribution = _point(problem)[2]
    reference = reference_estimator(problem, distribution)
    each = problem.evaluations(reference, distribution)
    is_trained = isinstance(problem, Problem) and problem.trainable and not about["at"]
    steps = about["train_steps"] if is_trained else 0
    samples = 1 if isinstance(reference, Exact) else REFERENCE_SHARE * about["samples"]
    return each * (steps + samples)


@functools.cache
def _timed(problem: Problem | Model) -> Taken:
    """Time gradients with respect to all parameters."""
    params, batch, distribution = _point(problem)
    estimator = Pathwise() if isinstance(distribution, Continuous) else ScoreFunction()

    def gradient(one: Estimator, context: Any, key: jax.Array) -> Any:
        with frozen():
            return jax.grad(problem.loss)(context[0], one, key, context[1])

    like = jax.tree.map(jnp.zeros_like, params)
    timer = Timer(gradient)
    start = time.perf_counter()
    timer(estimator, (params, batch), like, jax.random.key(0), 1)
    compilation = time.perf_counter() - start
    rounds = timer.rounds(estimator, (params, batch), like)
    return Taken(compilation, float(rounds.min()) / problem.evaluations(estimator, distribution))


@functools.cache
def _point(problem: Problem | Model) -> tuple[Any, Any, Any]:
    """Return the first parameters of a problem, a minibatch and the distribution there."""
    if isinstance(problem, Model):
        params, batch = problem.parameters, problem.fixed
    else:
        key = jax.random.key(0)
        params, batch = problem.initial(key), problem.batch(key, problem.data())
    return params, batch, problem.distribution(params, batch)
