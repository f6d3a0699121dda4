"""The study behind the atlas: a part for each estimator at each point."""

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

import estimators
from estimators import Estimator
from estimators.naming import describe
from experiments.measurement.keys import named_keys
from experiments.measurement.point import REFERENCE_SHARE, Point, Start, begin
from experiments.measurement.rows import Row
from experiments.problems import Params, Problem
from experiments.running.memory import Memory
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.running.user_code import (
    modules_of,
    parse_estimator,
    parse_estimators,
    parse_problem,
    sources,
)
from experiments.studies.atlas.choice import POINTS, TRAINER, AtlasPoint
from experiments.studies.atlas.predictions import PREDICTIONS
from experiments.studies.comparison.point_study import measured
from experiments.studies.comparison.settings import MeasureSettings
from experiments.training import train

STUDY = "atlas"
BUDGET = 100.0
"""Evaluations of f of the error at equal cost."""

_TUNING_STEPS = {"smoke": 50, "laptop": 2000}
_RATE = 3e-3


class Cell(NamedTuple):
    """An estimator at a point."""

    point: AtlasPoint
    estimator: Estimator


def cells_of(scale: str) -> dict[str, Cell]:
    """Return the cells of a scale by name: at each point, the estimators that take its law."""
    return {
        _name(point.title, describe(one, positional=True)): Cell(point, one)
        for point in POINTS[scale]
        for one in parse_estimators(point.estimators).estimators
        if getattr(estimators, point.law) in one.distributions
    }


def atlas(scale: str, chosen: Collection[str] | None = None) -> Study[Cell]:
    """Return the study of the atlas.

    Args:
        scale: "smoke" or "laptop".
        chosen: names of points, of which alone the cells are run now; None for all.
    """
    cells, points = cells_of(scale), POINTS[scale]
    problems = {point.problem: parse_problem(point.problem) for point in points}
    used = modules_of((*problems.values(), *(cell.estimator for cell in cells.values())))
    return Study(
        f"{STUDY}-{scale}",
        {
            "study": STUDY,
            "title": "Error at equal cost of estimators over problems",
            "scale": scale,
            "points": [list(point[:-1]) for point in points],
            "cells": list(cells),
            "trainer": TRAINER,
            "rate": _RATE,
            "samples": max(point.samples for point in points),
            "tuning_steps": _TUNING_STEPS[scale],
            "budget": BUDGET,
            "seed": 0,
            "predictions": [f"{one.text} ({one.source})" for one in PREDICTIONS[scale]],
            **sources(used),
        },
        {__name__, *used},
        {
            name: cell
            for name, cell in cells.items()
            if chosen is None or cell.point.title in chosen
        },
        functools.partial(_rows, problems, _TUNING_STEPS[scale]),
        _done,
        set(cells),
    )


def _done(rows: Sequence[Row]) -> set[str]:
    """Return the names of the cells with rows."""
    return {_name(f"{row['problem']}, step {row['step']}", str(row["short_name"])) for row in rows}


def _name(title: str, estimator: str) -> str:
    """Return the name of a cell; the step comes last, as in the parts of other studies."""
    problem, _, step = title.rpartition(", ")
    return f"{problem}: {estimator}, {step}"


def _rows(
    problems: Mapping[str, Problem],
    tuning_steps: int,
    parts: Mapping[str, Cell],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Measure the estimators of each point; those of a problem share what is compiled."""
    by_point: dict[AtlasPoint, dict[str, Sequence[Estimator]]] = {}
    for name, (point, estimator) in parts.items():
        by_point.setdefault(point, {})[name] = [estimator]
    starts: dict[str, Start] = {}
    for point, own in by_point.items():
        problem = problems[point.problem]
        keys = named_keys(0, "point", "tune", "measure")
        if point.problem not in starts:
            # Frees the one before. JAX keeps its programs, and Linux has room for some 20,000.
            jax.clear_caches()
            starts = {point.problem: begin(problem, keys["point"])}
        start = starts[point.problem]
        memory = Memory(modules_of((problem, parse_estimator(TRAINER))) | {__name__}, start.data)

        def found(point=point, start=start, memory=memory) -> Point:
            params = _trained(point, start, memory, progress)
            samples = REFERENCE_SHARE * point.samples
            return start.at(params, samples, progress.say, progress.note)

        place = {
            "problem": str(problem),
            "trained_with": TRAINER if point.steps else "",
            "step": point.steps,
        }
        yield from measured(
            start.point,
            found,
            own,
            MeasureSettings(samples=point.samples, tuning_steps=tuning_steps, budget=BUDGET),
            keys,
            {"study": STUDY, "objective": problem.objective, "law": point.law, "seed": 0} | place,
            [row for row in results.rows if place.items() <= row.items()],
            progress,
            memory=memory,
        )


def _trained(point: AtlasPoint, start: Start, memory: Memory, progress: Progress) -> Params:
    """Return the parameters of a point."""
    if not point.steps:
        return start.params
    trainer = parse_estimator(TRAINER)

    def compute() -> tuple[Any, str]:
        progress.say(f"training {point.problem} for {point.steps} steps with {TRAINER}")
        params, _, _ = train(
            start.keys["train"],
            start.problem,
            start.params,
            trainer.initialise(jax.random.key(0), start.point.distribution),
            start.data,
            point.steps,
            _RATE,
            progress=lambda done: progress.note(f"training, {done:.0%}"),
        )
        return params, ""

    params, _ = memory.kept(
        {
            "function": "train",
            "problem": str(start.problem),
            "trainer": TRAINER,
            "steps": point.steps,
            "rate": _RATE,
        },
        (start.keys["train"], start.params),
        start.params,
        compute,
    )
    return params
