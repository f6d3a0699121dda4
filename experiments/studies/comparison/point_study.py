"""Studies that measure estimators one after another, at one point of a problem."""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import jax

from estimators import Estimator, stack
from experiments.measurement.point import Point
from experiments.measurement.rows import (
    Row,
    coordinates_row,
    estimator_columns,
    metric_rows,
    seconds_row,
)
from experiments.running import limits
from experiments.running.ahead import ahead
from experiments.running.memory import Memory
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.running.user_code import failure
from experiments.studies.comparison.precision import needed_samples
from experiments.studies.comparison.settings import (
    CompareSettings,
    MeasureSettings,
    name_of,
    varied,
)
from experiments.training import is_tuned
from experiments.training.convergence import Tuned

TIMES = "time per gradient"
"""The part of a study that times gradients, when nothing else runs."""

Parts = Mapping[str, Sequence[Estimator]]
"""Estimators by name, each with its variants; `TIMES` has the variants of all."""

Members = Callable[[Estimator], Sequence[Estimator]]
"""Returns the variants of an estimator that are measured."""

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
    configuration = settings.configuration(kind) | more
    own, names = parts_of(settings.estimators, members), varied(configuration)
    points = [
        (point, {name_of(name, point.place, names): own[name] for name in own if name != TIMES})
        for point in settings.each_point()
    ]
    parts = {name: part for _, each in points for name, part in each.items()}
    parts |= {TIMES: own[TIMES]}
    return Study(
        kind,
        configuration,
        {__name__, members.__module__, caution.__module__} | settings.modules,
        parts,
        functools.partial(_rows, points, kind, caution, settings.modules | {__name__}),
        functools.partial(done, parts, names=names),
        sources=tuple(place.source for place in settings.at),
    )


def parts_of(
    estimators: Sequence[Estimator], members: Members = lambda estimator: [estimator]
) -> dict[str, Sequence[Estimator]]:
    """Return the parts of a study: the variants of each estimator, and the times of all."""
    parts: dict[str, Sequence[Estimator]] = {}
    for estimator in estimators:  # two may have the same variants
        variants = members(estimator)
        parts.setdefault(str(variants[0]), variants)
    return parts | {TIMES: [variant for variants in parts.values() for variant in variants]}


def done(parts: Collection[str], rows: Sequence[Row], names: Sequence[str] = ()) -> set[str]:
    """Return the names of the parts with rows, and `TIMES` if no estimator lacks its time.

    Args:
        parts: the names of all parts.
        rows: the rows so far.
        names: the columns that tell apart the points of the study.
    """
    found = {name_of(row["estimator"], row, names) for row in rows}
    measured = {row["estimator"] for row in rows}
    timed = {row["estimator"] for row in rows if row["metric"] in ("seconds", "skipped")}
    return found | {TIMES} if set(parts) - {TIMES} <= found and measured <= timed else found


def _rows(
    each: Sequence[tuple[CompareSettings, Parts]],
    kind: str,
    caution: Caution,
    modules: Collection[str],
    parts: Parts,
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    memory = Memory(modules, each[0][0].problem.data())
    points: list[Point] = []
    for settings, own in each:
        missing = {name: part for name, part in own.items() if name in parts}
        if points and not missing:  # times are those at the first point
            continue
        start = settings.begin(points[0].instrument if points else None)

        def trained(settings=settings, start=start) -> Point:
            points.append(settings.trained(start, progress, memory))
            return points[-1]

        yield from measured(
            start.point,
            trained,
            missing,
            settings,
            settings.keys(),
            settings.columns(kind),
            results.rows,
            progress,
            caution,
            memory,
        )
    places = [settings.place for settings, _ in each]
    timed = [row for row in results.rows if places[0].items() <= row.items()]
    found = times(points[0], parts, timed, progress)
    yield [*found, *_elsewhere(found, places, results.rows)]


def _elsewhere(found: Sequence[Row], places: Sequence[Row], rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows of times for the tables of other steps and runs: time depends on neither.

    Args:
        found: the rows of times at the first place.
        places: the columns of all places.
        rows: the rows of all places.
    """
    contexts: dict[tuple[Any, ...], Row] = {}
    for place in places:
        contexts.setdefault((place["step"], place.get("trained_with")), place)
    for place in [*contexts.values()][1:]:
        notes = {
            (row["estimator"], row["group"]): row["note"]
            for row in rows
            if row["metric"] == "truth_norm" and place.items() <= row.items()
        }
        yield from (
            row | place | {"note": notes[row["estimator"], row["group"]]}
            for row in found
            if (row["estimator"], row["group"]) in notes
        )


def measured(
    start: Point,
    find: Callable[[], Point],
    parts: Parts,
    settings: MeasureSettings,
    keys: Mapping[str, jax.Array],
    shared: Row,
    before: Sequence[Row],
    progress: Progress,
    caution: Caution = lambda columns, samples: "",
    memory: Memory | None = None,
) -> Iterator[list[Row]]:
    """Measure estimators at a point; yield the rows of each, or one with the reason it is skipped.

    There are such rows for each group of parameters of the point; each gradient, of all of them,
    is drawn once.

    An estimator that raises an error is skipped, and the others go on. Estimators compile while the
    point is found, and later ones compile and are tuned while earlier ones are measured.

    Args:
        start: a point whose arrays have the shapes of the other's.
        find: returns the point.
        parts: the estimators; variants of one are vmapped in one compiled program.
        settings: samples, tuning steps and budget.
        keys: typed random keys for tuning, "tune", and for the samples, "measure".
        shared: columns of all rows, but the group.
        before: rows of earlier runs.
        progress: reports progress.
        caution: returns notes.
        memory: keeps the tuned estimators.

    Raises:
        Exception: the first error of an estimator, if all raise one: the problem is at fault.
    """
    found: Future[Point] = Future()

    def ready(members: Sequence[Estimator]) -> str | list[Tuned]:
        """Return why an estimator is skipped, or its tuned variants; compile what they run."""
        reason = limits.refusal(
            start.problem,
            members[0],
            (start.params, start.batch),
            start.distribution,
            len(members) * settings.gradients(members[0]),
            gradient=start.sampler.gradient,
        )
        if reason is not None:
            return reason
        start.compile(members, settings.samples)
        # Only tuning waits for the point.
        where = found.result() if is_tuned(members[0]) else start
        return [_tuned(where, one, keys["tune"], settings.tuning_steps, memory) for one in members]

    jobs = {
        name: functools.partial(ready, members) for name, members in parts.items() if name != TIMES
    }
    is_measured = any(row["metric"] != "skipped" for row in before)
    held: list[Row] = []  # of estimators that failed, until one is measured
    first = None
    with ahead(jobs) as done:
        try:
            point = find()
            found.set_result(point)
        finally:
            found.cancel()  # what waits for it
        for name, job in done:
            with progress.task(name) as advance:
                columns = [shared | estimator_columns(member) for member in parts[name]]
                try:
                    tuned = job.result()
                    if isinstance(tuned, str):
                        rows = _of_groups(point, columns[0] | skipped(tuned))
                    else:
                        rows = _drawn(
                            point, tuned, columns, settings, keys["measure"], advance, caution
                        )
                        is_measured = True
                except (Exception, SystemExit) as error:
                    first = first or error
                    held += _of_groups(point, columns[0] | skipped(failure(error)))
                    rows = []
                if is_measured:
                    rows, held = [*held, *rows], []
                if rows:
                    yield rows
    if first is not None and not is_measured:
        raise first


def _tuned(
    point: Point, estimator: Estimator, key: jax.Array, limit: int, memory: Memory | None
) -> Tuned:
    """Return an estimator tuned at a point, or what is kept of that."""
    if memory is None or not is_tuned(estimator):
        return point.ready(estimator, key, limit)

    def compute() -> tuple[Estimator, str]:
        tuned = point.ready(estimator, key, limit)
        return tuned.estimator, tuned.note

    return Tuned(
        *memory.kept(
            {
                "function": "tune",
                "problem": str(point.problem),
                "groups": list(point.groups),
                "estimator": str(estimator),
                "held": list(point.instrument.tune.held),
                "steps": limit,
            },
            (key, estimator, point.params, point.batch, point.centre),
            jax.eval_shape(lambda: estimator.initialise(key, point.distribution)),
            compute,
        )
    )


def _of_groups(point: Point, row: Row) -> list[Row]:
    """Return a row for each group of parameters of a point."""
    return [row | {"group": name} for name in point.groups]


def _drawn(
    point: Point,
    ready: Sequence[Tuned],
    columns: Sequence[Row],
    settings: MeasureSettings,
    key: jax.Array,
    advance: Callable[[float], None],
    caution: Caution,
) -> list[Row]:
    """Draw gradients of the variants of an estimator; return the rows of their metrics."""
    tuned = [one.estimator for one in ready]
    is_stack = len(tuned) > 1
    estimator = stack(tuned) if is_stack else tuned[0]
    evaluations = point.problem.evaluations(tuned[0], point.distribution)

    def draw(key: jax.Array, samples: int, note: str = "") -> list[list[Row]]:
        drawn = point.draw_groups(estimator, key, samples, stacked=is_stack, progress=advance)
        found = []
        for own, one, *each in zip(columns, ready, *drawn, strict=True):
            rows: list[Row] = []
            for place, (name, blocks) in enumerate(zip(point.groups, each, strict=True)):
                notes = "; ".join(filter(None, (caution(own, blocks.count), one.note, note)))
                size = evaluations, settings.budget, notes
                metrics = metric_rows(blocks, point.truths[place], *size)
                if own["unbiased"] == "yes" and _is_off(metrics):
                    metrics = metric_rows(blocks, point.with_terms.truths[place], *size)
                if settings.coordinates:
                    truth = point.truths[place]
                    metrics.append(coordinates_row(blocks, truth, point.leaves(name), metrics[0]))
                rows += [own | {"group": name} | row for row in metrics]
            found.append(rows)
        return found

    def pilot(number: int, samples: int) -> list[list[Row]]:
        return draw(jax.random.fold_in(key, number), samples)

    samples, note = settings.samples, ""
    if settings.precision is not None and not point.truth.lacking:
        most = settings.most_samples
        samples, is_limited = needed_samples(pilot, settings.precision, samples, most)
        if is_limited:
            precision = f"{100 * settings.precision:.3g} %"
            note = f"a precision of {precision} takes more than {most:,} samples"
    return [row for rows in draw(key, samples, note) for row in rows]


def _is_off(rows: Sequence[Row]) -> bool:
    """Return whether a mean seems to differ from the truth: by a bias or by mere rounding."""
    found = {row["metric"]: row for row in rows}
    return found["squared_bias"]["low"] > 0 or found["cosine_mean"]["high"] < 0


def times(
    point: Point, parts: Parts, rows: Sequence[Row], progress: Progress, plain: Any = None
) -> list[Row]:
    """Return the times of gradients, and of `plain` after each if it is given.

    Args:
        point: the point.
        parts: the parts to run; nothing is timed without `TIMES`.
        rows: the rows of all estimators.
        progress: reports progress.
        plain: what a gradient is compared with, called as an estimator.
    """
    if TIMES not in parts:
        return []
    with progress.task(TIMES) as advance:
        # The rows whose notes concern the estimator, not one metric: one of each group.
        about: dict[str, list[Row]] = {}
        for row in rows:
            if row["metric"] == "truth_norm":
                about.setdefault(row["estimator"], []).append(row)
        found = []
        for number, estimator in enumerate(parts[TIMES]):
            if each := about.get(str(estimator)):
                try:
                    ready = estimator.initialise(jax.random.key(0), point.distribution)
                    taken = point.timed(ready)
                    found += [seconds_row(taken, row) for row in each]
                except (Exception, SystemExit) as error:
                    missing = dict.fromkeys(("value", "low", "high"), float("nan"))
                    why = {"metric": "seconds", "note": failure(error)}
                    found += [row | missing | why for row in each]
                if plain is not None:
                    # Immediately afterwards, since the machine's load varies.
                    taken = point.timed(plain)
                    own = [seconds_row(taken, row) for row in each]
                    found += [row | {"metric": "plain_seconds"} for row in own]
            advance(number / len(parts[TIMES]))
    return found


def skipped(reason: str) -> Row:
    """Return the columns of an estimator that does not fit the problem, or fails."""
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
