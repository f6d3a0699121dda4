"""Studies that measure estimators one after another, at one point of a problem."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from estimators import Estimator, stack
from experiments.measurement.rows import Row, estimator_columns, metric_rows
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in
from experiments.studies.comparison.settings import CompareSettings

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
        settings: what to measure, and where.
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
    members_of: Members,
    caution: Caution,
    parts: Mapping[str, Estimator],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Measure estimators; variants of one are mapped over in one compiled program."""
    keys = settings.keys()
    point = settings.point(progress)
    shared = settings.columns(point, kind)
    for estimator in parts.values():
        with progress.task(str(estimator)) as advance:
            members = members_of(estimator)
            columns = [shared | estimator_columns(member) for member in members]
            context = point.params, point.batch
            # Not earlier, since tracing all of them takes several seconds.
            if reason := settings.refusal(estimator, context, point.distribution, len(members)):
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
