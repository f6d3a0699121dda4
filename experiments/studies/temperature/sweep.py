"""Bias, variance and error against temperature, one compiled program per estimator."""

import dataclasses
from collections.abc import Sequence

from estimators import Estimator, stack
from experiments.measurement.point import estimator_columns, metric_rows
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.studies.comparison.compare import Settings, prepare_point, skipped

STUDY = "temperature"

TOO_SMALL = "sample too small for its temperature"


def has_temperature(estimator: Estimator) -> bool:
    """Return whether an estimator has a temperature."""
    return "temperature" in {field.name for field in dataclasses.fields(estimator)}  # type: ignore


def needed_samples(temperature: float) -> float:
    """Return the least number of samples that a temperature asks for, 100 / temperature.

    At low temperatures the gradient is rare and large: a smaller sample sees neither its mean nor
    its variance.
    """
    return 100 / temperature


def sweep(
    settings: Settings,
    temperatures: Sequence[float],
    results: Results,
    progress: Progress,
) -> None:
    """Measure every estimator: those with a temperature at each one, the others once.

    The members of a sweep are one stack, mapped over in one compiled program, under common noise;
    each is timed alone.

    Args:
        settings: what to measure.
        temperatures: the temperatures.
        results: receives the rows of an estimator as it finishes.
        progress: reports progress.
    """
    keys = settings.keys()
    point = prepare_point(settings, keys["point"], progress)
    shared = settings.columns(point, STUDY)
    for estimator in settings.estimators:
        members = [estimator]
        if has_temperature(estimator):
            members = [dataclasses.replace(estimator, temperature=t) for t in temperatures]  # type: ignore
        columns = [shared | estimator_columns(member) for member in members]
        if results.has(columns[0]["estimator"]):
            progress.skip(str(estimator))
            continue
        with progress.task(type(estimator).__name__) as advance:
            context = point.params, point.batch
            if reason := settings.refusal(estimator, context, point.distribution, len(members)):
                results.add([columns[0] | skipped(reason)])
                continue
            ready = [point.ready(member, keys["tune"], settings.tuning_steps) for member in members]
            swept = len(ready) > 1
            members = [one.estimator for one in ready]
            argument = stack(members) if swept else members[0]
            runs = point.draw(
                argument,
                keys["measure"],
                settings.samples,
                stacked=swept,
                timed=True,
                progress=advance,
            )
            evaluations = point.problem.evaluations(estimator, point.distribution)
            rows = []
            for own, one, blocks in zip(columns, ready, runs, strict=True):
                temperature = own.get("p_temperature")
                small = temperature is not None and blocks.count < needed_samples(temperature)
                note = "; ".join(filter(None, (TOO_SMALL if small else "", one.note)))
                found = metric_rows(blocks, point.truth, evaluations, settings.budget, note)
                rows += [own | row for row in found]
            results.add(rows)
    results.finish()
