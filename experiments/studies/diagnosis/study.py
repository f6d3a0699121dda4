"""The diagnosis: all estimators that fit a user's model, measured at its parameters."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from estimators import Estimator
from experiments.measurement.point import REFERENCE_SHARE, Instrument, Point, reference_estimator
from experiments.measurement.rows import Row
from experiments.running import limits
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.running.user_code import modules_of, sources
from experiments.studies.comparison import point_study
from experiments.studies.comparison.settings import MeasureSettings
from experiments.studies.diagnosis.model import Model
from experiments.system.errors import UsageError

STUDY = "diagnose"
_MOST_REASONS = 3

# The loss at one sample, without a gradient through sampling: the unit of time.
_PLAIN: Any = jax.tree_util.Partial(lambda key, distribution, f: f(distribution.sample(key)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiagnoseSettings(MeasureSettings):
    """Settings of a diagnosis; every field is part of the run's identity."""


def diagnosis_study(
    model: Model,
    candidates: Sequence[Estimator],
    seed: int,
    settings: DiagnoseSettings,
    source: str,
    module: str,
    step: int = 0,
) -> Study[Sequence[Estimator]]:
    """Return the study of estimators on a user's model, at its parameters and one batch.

    Args:
        model: the model.
        candidates: the estimators.
        seed: the random seed.
        settings: settings of the diagnosis.
        source: the model's name on the command line.
        module: the name of the module of the user's file.
        step: the training step of the model's parameters, if it is known.

    Raises:
        UsageError: if none of the estimators fits the model.
    """
    check_fit(model, candidates)
    parts = point_study.parts_of(candidates)
    modules = {module} | modules_of(candidates)
    configuration = {
        "study": STUDY,
        "problem": source,
        "numbers": model.fingerprint,
        "estimators": [str(one) for one in candidates],
        "seed": seed,
        "step": step,
        **dataclasses.asdict(settings),
        **sources(modules),
    }

    done = functools.partial(point_study.done, parts)

    def rows(parts: point_study.Parts, results: Results, progress: Progress) -> Iterator[list[Row]]:
        key = jax.random.key(seed)
        yield from measured(model, parts, results.rows, key, settings, progress, step)
        check(model, results.rows)

    return Study(STUDY, configuration, {__name__} | modules, parts, rows, done)


def measured(
    model: Model,
    parts: point_study.Parts,
    rows: Sequence[Row],
    key: jax.Array,
    settings: DiagnoseSettings,
    progress: Progress,
    step: int = 0,
) -> Iterator[list[Row]]:
    """Yield the rows of each estimator in turn, then those of their times.

    Args:
        model: the model.
        parts: the estimators.
        rows: all rows so far, also those that were yielded.
        key: a typed random key, consumed.
        settings: settings of the diagnosis.
        progress: reports progress.
        step: the training step of the model's parameters, if it is known.

    Raises:
        UsageError: if the true gradient is not finite, or takes too much time or memory.
        Exception: the first error of an estimator, if all raise one.
    """
    names = "truth", "tune", "measure"
    keys: dict[str, jax.Array] = dict(zip(names, jax.random.split(key, 3), strict=True))
    instrument = Instrument(model, model.group)
    start = instrument.at(model.parameters, model.fixed)
    samples = REFERENCE_SHARE * settings.samples
    reference = reference_estimator(model, start.distribution)
    context = start.params, start.batch
    if reason := limits.refusal(model, reference, context, start.distribution, samples):
        raise UsageError(f"{model} cannot be diagnosed: {reference} {reason}")

    members = [members[0] for name, members in parts.items() if name != point_study.TIMES]
    fit = [one for one in members if model.refusal(one, start.distribution) is None]
    progress.announce(
        f"{len(fit)} of {len(members)} estimators fit the model; measuring "
        f"{'at least ' * (settings.precision is not None)}{settings.samples:,} gradients of each"
    )

    def find() -> Point:
        progress.say("finding the true gradient")
        point = start.with_truth(
            keys["truth"], samples, lambda done: progress.note(f"true gradient, {done:.0%}")
        )
        if not np.isfinite(point.truth.mean).all():
            raise UsageError(f"the gradient of {model} is not finite at these parameters")
        return point

    shared = {"study": STUDY, "problem": str(model), "objective": model.objective}
    shared |= {"seed": 0, "step": step}
    yield from point_study.measured(start, find, parts, settings, keys, shared, rows, progress)
    yield point_study.times(start, parts, rows, progress, _PLAIN)


def check_fit(model: Model, candidates: Sequence[Estimator]) -> None:
    """Check that an estimator fits the calls of the loss.

    Raises:
        UsageError: if none does; the message says why.
    """
    kind = model.calls.distribution
    reasons = [(one, model.refusal(one, kind)) for one in candidates]
    if not all(reason for _, reason in reasons):
        return
    said = [f"{one} {reason}{one.instead(kind)}" for one, reason in reasons[:_MOST_REASONS]]
    more = f"; and {len(reasons) - len(said)} more" if len(reasons) > len(said) else ""
    raise UsageError(f"no estimator fits {model}: {'; '.join(said)}{more}")


def check(model: Model, rows: Sequence[Row]) -> None:
    """Check that the rows allow a recommendation.

    Raises:
        UsageError: if no estimator fits the model, or its gradient is always zero.
    """
    if all(row["metric"] == "skipped" for row in rows):
        why = "; ".join(dict.fromkeys(f"{row['estimator']} {row['note']}" for row in rows))
        raise UsageError(f"no estimator fits {model}: {why}")
    sampled = [row for row in rows if row["method"] != "Exact"]
    errors = [row["value"] for row in sampled if row["metric"] == "mse"]
    norms = [row["value"] for row in rows if row["metric"] == "truth_norm"]
    if errors and not any(errors + norms):
        raise UsageError(
            f"the gradient of {model} is zero for every sample: neither the distribution "
            "nor f depends on the model"
        )
