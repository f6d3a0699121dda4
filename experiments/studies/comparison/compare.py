"""The main job: bias, variance, error and cost of estimators at one point of a problem."""

import dataclasses
import zlib
from collections.abc import Collection, Sequence
from typing import Any

import jax

from estimators import Estimator
from experiments.measurement.point import (
    Point,
    Row,
    check_group,
    estimator_columns,
    metric_rows,
    prepare,
    reference_estimator,
)
from experiments.problems import Problem
from experiments.running import limits
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.user_code import source
from experiments.system.errors import UsageError
from experiments.training import is_tuned
from experiments.training.convergence import TUNING_STEPS

STUDY = "compare"

_REFERENCE = 4
"""Gradients of the truth for each one that is drawn, where the truth is not exact."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a study measures, and where; every field is part of the run's identity.

    Attributes:
        problem: the problem.
        estimators: the estimators.
        group: parameters that the gradient is with respect to; None for the problem's own choice.
        samples: gradients drawn of each estimator.
        seed: of everything random.
        train_steps: Adam steps before measuring, for problems that train.
        tuning_steps: the most tuning steps of the estimators that learn, at that point.
        budget: evaluations of f at which errors are compared.
    """

    problem: Problem
    estimators: Sequence[Estimator]
    group: str | None = None
    samples: int = 2048
    seed: int = 0
    train_steps: int = 300
    tuning_steps: int = TUNING_STEPS
    budget: float = 100.0

    def configuration(self, study: str) -> dict[str, Any]:
        """Return the settings as plain values."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        names = [str(estimator) for estimator in self.estimators]
        found = map(source, (self.problem, *self.estimators))
        sources = {name for name in found if name}
        plain |= {"problem": str(self.problem), "estimators": names}
        return {"study": study, **plain} | ({"user_code": sorted(sources)} if sources else {})

    def refusal(
        self, estimator: Estimator, context: tuple[Any, Any], distribution: Any, members: int = 1
    ) -> str | None:
        """Return why an estimator cannot be measured, or None where it can.

        Args:
            estimator: the estimator.
            context: parameters and a minibatch.
            distribution: of one example's latent variable there.
            members: how many of its kind are measured.
        """
        steps = self.tuning_steps if is_tuned(estimator) else 0
        times = members * (self.samples + steps)
        return limits.refusal(self.problem, estimator, context, distribution, times)

    def columns(self, point: Point, study: str) -> Row:
        """Return the columns that every row of a study shares."""
        return {
            "study": study,
            "problem": str(self.problem),
            "objective": self.problem.objective,
            "group": point.group,
            "seed": self.seed,
            "step": self.train_steps if self.problem.trainable else 0,
        }

    def keys(self) -> dict[str, jax.Array]:
        """Return independent keys for making the point, tuning, and measuring."""
        names = "point", "tune", "measure"
        key = jax.random.key(self.seed)
        return {name: jax.random.fold_in(key, zlib.crc32(name.encode())) for name in names}


def compare(settings: Settings, results: Results, progress: Progress) -> None:
    """Measure every estimator that fits the problem, adding its rows to the results as it finishes.

    Estimators see the same keys (common random numbers). Those whose rows are there are not
    measured again.

    Args:
        settings: what to measure.
        results: receives the rows.
        progress: reports progress.
    """
    keys = settings.keys()
    point = prepare_point(settings, keys["point"], progress)
    shared = settings.columns(point, STUDY)
    for estimator in settings.estimators:
        name = str(estimator)
        if results.has(name):
            progress.skip(name)
            continue
        with progress.task(name) as advance:
            columns = shared | estimator_columns(estimator)
            context = point.params, point.batch
            # Only now: to trace them all beforehand would take several seconds.
            if reason := settings.refusal(estimator, context, point.distribution):
                results.add([columns | skipped(reason)])
                continue
            ready = point.ready(estimator, keys["tune"], settings.tuning_steps)
            (blocks,) = point.draw(
                ready.estimator, keys["measure"], settings.samples, timed=True, progress=advance
            )
            evaluations = point.problem.evaluations(estimator, point.distribution)
            rows = metric_rows(blocks, point.truth, evaluations, settings.budget, ready.note)
            results.add([columns | row for row in rows])
    results.finish()


def prepare_point(settings: Settings, key: jax.Array, progress: Progress) -> Point:
    """Make the point at which a study measures."""
    return prepare(
        settings.problem,
        key,
        group=settings.group,
        train_steps=settings.train_steps,
        reference_samples=_REFERENCE * settings.samples,
        report=progress.say,
        note=progress.note,
    )


def check(settings: Settings, named: Collection[str]) -> None:
    """Refuse what cannot be measured, before anything is computed or written.

    Args:
        settings: what to measure.
        named: the names of estimators that must fit; of the others it is enough that one does.

    Raises:
        UsageError: for an unknown group, a named estimator that does not fit, or where none does.
    """
    problem, key = settings.problem, jax.random.key(settings.seed)
    data = problem.data()
    limits.check_problem(problem, data)
    batch = problem.batch(key, data)
    params = problem.measured_params(problem.initial(key), batch)
    check_group(problem, params, settings.group)
    distribution = problem.distribution(params, batch)
    steps = settings.train_steps if problem.trainable else 0
    # What trains, and finds the truth where it is not exact.
    reference = reference_estimator(problem, distribution)
    if known := limits.refusal(
        problem, reference, (params, batch), distribution, steps, moves=True
    ):
        raise UsageError(f"{problem} cannot be measured: {reference} {known}")
    fits, refused = False, ""
    for estimator in settings.estimators:
        must = str(estimator) in named
        if fits and not must:  # to trace them all would take several seconds
            continue
        reason = settings.refusal(estimator, (params, batch), distribution)
        if must and reason:
            raise UsageError(f"{estimator} does not fit {problem}: {reason}")
        fits, refused = fits or not reason, f"{estimator} {reason}"
    if not fits:
        raise UsageError(f"no estimator fits {problem}; {refused}")


def skipped(reason: str) -> Row:
    """Return the columns of an estimator that does not fit the problem."""
    nan = float("nan")
    return {
        "metric": "skipped",
        "value": nan,
        "low": nan,
        "high": nan,
        "evaluations": 0,
        "samples": 0,
        "note": reason,
    }
