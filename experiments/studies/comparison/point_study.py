"""Studies that measure estimators one after another, at one point of a problem."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax

from estimators import Estimator, stack
from experiments.measurement.point import Point
from experiments.measurement.rows import Row, estimator_columns, metric_rows
from experiments.running import limits
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in
from experiments.studies.comparison.settings import CompareSettings, MeasureSettings

Members = Callable[[Estimator], list[Estimator]]
"""Returns the variants of an estimator that are measured."""

Caution = Callable[[Row, int], str]
"""Returns a note on the number of samples of the variant of some columns, or ""."""


def point_study(
    settings: CompareSettings,
    kind: str,
    members: Members = lambda estimator: [estimator],
    caution: Caution = lambda columns, samples: "",
    **more: Any,
) -> Study[Estimator]:
    """Return a study of bias, variance, error and cost, with common random numbers.

    Args:
        settings: the settings.
        kind: the study's name in its table.
        members: returns variants.
        caution: returns notes.
        more: further settings, as plain values.
    """
    parts: dict[str, Estimator] = {}
    for estimator in settings.estimators:  # two may have the same variants
        parts.setdefault(str(members(estimator)[0]), estimator)
    return Study(
        kind,
        settings.configuration(kind) | more,
        {__name__, members.__module__, caution.__module__} | settings.modules,
        parts,
        functools.partial(_rows, settings, kind, members, caution),
        found_in("estimator"),
    )


def _rows(
    settings: CompareSettings,
    kind: str,
    members: Members,
    caution: Caution,
    parts: Mapping[str, Estimator],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    point = settings.point(progress)
    shared = settings.columns(point, kind)
    yield from measured(
        point, parts.values(), settings, settings.keys(), shared, progress, members, caution
    )


def measured(
    point: Point,
    estimators: Iterable[Estimator],
    settings: MeasureSettings,
    keys: Mapping[str, jax.Array],
    shared: Row,
    progress: Progress,
    members_of: Members = lambda estimator: [estimator],
    caution: Caution = lambda columns, samples: "",
) -> Iterator[list[Row]]:
    """Measure estimators at a point; yield the rows of each, or one with the reason it is skipped.

    Args:
        point: the point.
        estimators: the estimators.
        settings: samples, tuning steps and budget.
        keys: typed random keys for tuning, "tune", and for the samples, "measure".
        shared: columns of all rows.
        progress: reports progress.
        members_of: returns variants, vmapped in one compiled program.
        caution: returns notes.
    """
    for estimator in estimators:
        with progress.task(str(estimator)) as advance:
            members = members_of(estimator)
            columns = [shared | estimator_columns(member) for member in members]
            # Not earlier, since tracing all of them takes several seconds.
            if reason := limits.refusal(
                point.problem,
                estimator,
                (point.params, point.batch),
                point.distribution,
                len(members) * settings.gradients(estimator),
            ):
                yield [columns[0] | skipped(reason)]
                continue
            ready = [point.ready(one, keys["tune"], settings.tuning_steps) for one in members]
            tuned = [one.estimator for one in ready]
            is_stack = len(tuned) > 1
            drawn = point.draw(
                stack(tuned) if is_stack else tuned[0],
                keys["measure"],
                settings.samples,
                stacked=is_stack,
                timed=True,
                progress=advance,
            )
            evaluations = point.problem.evaluations(estimator, point.distribution)
            rows = []
            for own, one, blocks in zip(columns, ready, drawn, strict=True):
                note = "; ".join(filter(None, (caution(own, blocks.count), one.note)))
                found = metric_rows(blocks, point.truth, evaluations, settings.budget, note)
                rows += [own | row for row in found]
            yield rows


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
