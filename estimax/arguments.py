"""Arguments of the functions of estimax, as the settings of studies."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from estimators import Estimator
from experiments.problems import Problem
from experiments.running.user_code import (
    Chosen,
    parse_estimator,
    parse_estimators,
    parse_part,
    parse_problem,
)
from experiments.studies.comparison.settings import CompareSettings, Place, check
from experiments.studies.training.kept import places
from experiments.system import device
from experiments.system.errors import UsageError

T = TypeVar("T")

Names = str | Estimator | Sequence[str | Estimator]
"""Estimators: objects, or names of estimators or families as on the command line."""

Folder = str | os.PathLike[str]


class Where(NamedTuple):
    """The problem, seeds and parameters of a measurement, as `CompareSettings` has them."""

    problem: Problem
    seed: int
    seeds: int
    at: Sequence[Place]


def where_of(
    problem: str | Problem | None,
    seed: int | None,
    seeds: int,
    at: Folder | Sequence[Folder],
    step: int | Sequence[int] | None,
    trained_with: str | Estimator | None,
) -> Where:
    """Return where the arguments of `compare` say to measure."""
    if not at:
        chosen = problem_of("VAE" if problem is None else problem)
        return Where(chosen, seed or CompareSettings.seed, seeds, ())
    found, points = places(
        [Path(one) for one in ([at] if isinstance(at, str | os.PathLike) else at)],
        None if problem is None else problem_of(problem),
        steps=[step] if isinstance(step, int) else step,
        trained_with=estimator_name(trained_with),
        seed=seed,
        seeds=seeds,
    )
    return Where(found, points[0].seed, 1, points)


def estimator_name(given: str | Estimator | None) -> str | None:
    """Return the full name of an estimator that is given by a name or as an object."""
    return given and str(parse_estimator(given) if isinstance(given, str) else given)


def settings_at(where: Where, chosen: Chosen, samples: int | None, **more: Any) -> CompareSettings:
    """Return the settings of a measurement at one point, checked."""
    settings = CompareSettings(
        samples=samples or where.problem.default_samples,
        estimators=chosen.estimators,
        **where._asdict(),
        **more,
    )
    check(settings, chosen.named)
    return settings


def problem_of(problem: str | Problem) -> Problem:
    """Return a problem that is given by its name or as an object."""
    if isinstance(problem, str):
        return parse_problem(problem)
    if isinstance(problem, type) and issubclass(problem, Problem):
        raise UsageError(f"{problem.__name__} is a class: pass a problem, {problem.__name__}(...)")
    if not isinstance(problem, Problem):
        raise UsageError(f"the problem must be a Problem or its name, not {problem!r}")
    return problem


def chosen_of(given: Names | None, required: Mapping[str, Any] = {}) -> Chosen:
    """Return estimators that are given by names or as objects, as `parse_estimators`."""
    device.start("auto")  # first, since building an estimator starts JAX
    several = [given] if isinstance(given, str | Estimator | type) else given
    for one in several or ():
        if isinstance(one, type) and issubclass(one, Estimator):
            raise UsageError(f"{one.__name__} is a class: pass an estimator, {one.__name__}(...)")
        if not isinstance(one, str | Estimator):
            raise UsageError(f"an estimator must be an Estimator or its name, not {one!r}")
    return parse_estimators(several, required)


def part_of(given: str | T, known: Sequence[type[T]]) -> T:
    """Return a value that is given by its name among classes, or as an object."""
    return parse_part(given, known) if isinstance(given, str) else given


def numbers_of(given: float | Sequence[float]) -> tuple[float, ...]:
    """Return one or several numbers without duplicates."""
    several = [given] if isinstance(given, int | float) else given
    return tuple(dict.fromkeys(map(float, several)))
