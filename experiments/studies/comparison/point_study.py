"""Studies that measure estimators one after another, at one point of a problem."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

import jax

from estimators import Estimator, stack
from experiments.measurement.point import Point, initial
from experiments.measurement.rows import Row, estimator_columns, metric_rows, seconds_row
from experiments.running.ahead import ahead
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.comparison.settings import CompareSettings

Members = Callable[[Estimator], list[Estimator]]
"""Returns the variants of an estimator that are measured."""

_TIMES = "time per gradient"

Caution = Callable[[Row, int], str]
"""Returns a note on the number of samples of the variant of some columns, or ""."""


def point_study(
    settings: CompareSettings,
    kind: str,
    members: Members = lambda estimator: [estimator],
    caution: Caution = lambda columns, samples: "",
    **more: Any,
) -> Study[Sequence[Estimator]]:
    """Return a study of bias, variance, error and cost, with common random numbers.

    Args:
        settings: what to measure, and where.
        kind: the study's name in its table.
        members: returns variants.
        caution: returns notes.
        more: further settings, as plain values.
    """
    parts: dict[str, Sequence[Estimator]] = {}
    for estimator in settings.estimators:  # two may have the same variants
        variants = members(estimator)
        parts.setdefault(str(variants[0]), variants)
    parts[_TIMES] = [variant for variants in parts.values() for variant in variants]
    return Study(
        kind,
        settings.configuration(kind) | more,
        {__name__, members.__module__, caution.__module__} | settings.modules,
        parts,
        functools.partial(_rows, settings, kind, caution),
        functools.partial(_done, parts.keys() - {_TIMES}),
    )


def _rows(
    settings: CompareSettings,
    kind: str,
    caution: Caution,
    parts: Mapping[str, Sequence[Estimator]],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Measure estimators; variants of one are mapped over in one compiled program."""
    keys = settings.keys()
    point = settings.point(progress)
    shared = settings.columns(point, kind)
    drawn = {name: members for name, members in parts.items() if name != _TIMES}

    def compiled(members: Sequence[Estimator]) -> str | None:
        """Return why an estimator cannot be measured; if it can, compile all that it runs."""
        reason = settings.refusal(members[0], point, len(members))
        if reason is None:
            point.compile(members, settings.samples)
        return reason

    jobs = {name: functools.partial(compiled, members) for name, members in drawn.items()}
    for name, reason in ahead(jobs):
        with progress.task(name) as advance:
            columns = [shared | estimator_columns(member) for member in drawn[name]]
            if reason:
                yield [columns[0] | skipped(reason)]
                continue
            ready = [point.ready(one, keys["tune"], settings.tuning_steps) for one in drawn[name]]
            tuned = [one.estimator for one in ready]
            is_stack = len(tuned) > 1
            samples = point.draw(
                stack(tuned) if is_stack else tuned[0],
                keys["measure"],
                settings.samples,
                stacked=is_stack,
                progress=advance,
            )
            evaluations = point.problem.evaluations(tuned[0], point.distribution)
            rows = []
            for own, one, blocks in zip(columns, ready, samples, strict=True):
                note = "; ".join(filter(None, (caution(own, blocks.count), one.note)))
                found = metric_rows(blocks, point.truth, evaluations, settings.budget, note)
                rows += [own | row for row in found]
            yield rows
    if _TIMES in parts:  # last, when nothing else runs
        with progress.task(_TIMES) as advance:
            yield list(_times(point, parts[_TIMES], results.rows, advance))


def _times(
    point: Point,
    estimators: Sequence[Estimator],
    rows: Sequence[Row],
    advance: Callable[[float], None],
) -> Iterator[Row]:
    measured = {row["estimator"]: row for row in rows if row["metric"] == "variance"}
    for number, estimator in enumerate(estimators):
        if row := measured.get(str(estimator)):
            ready = initial(estimator, jax.random.key(0), point.distribution)
            yield seconds_row(point.timed(ready), row)
        advance((number + 1) / (len(estimators) + 1))


def _done(names: Set[str], rows: Sequence[Row]) -> set[str]:
    """Return the names of the estimators with rows, and of the times if all of them have one."""
    found = {row["estimator"] for row in rows}
    timed = {row["estimator"] for row in rows if row["metric"] in ("seconds", "skipped")}
    return found | {_TIMES} if names <= found <= timed else found


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
