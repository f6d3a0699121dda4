"""The diagnosis: all estimators that fit a user's model, measured at its parameters."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from estimators import Estimator
from experiments import statistics as intervals
from experiments.measurement.point import REFERENCE_SHARE, Instrument, reference_estimator
from experiments.measurement.rows import Row, estimator_columns, metric_rows
from experiments.running import limits
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in
from experiments.running.user_code import modules_of, sources
from experiments.studies.comparison.point_study import skipped
from experiments.studies.diagnosis.model import Model
from experiments.system.errors import UsageError
from experiments.training import is_tuned
from experiments.training.convergence import TUNING_STEPS

STUDY = "diagnose"

# The loss at one sample, without a gradient through sampling: the unit of time.
_PLAIN: Any = jax.tree_util.Partial(lambda key, distribution, f: f(distribution.sample(key)))


@dataclasses.dataclass(frozen=True)
class DiagnoseSettings:
    """Settings of a diagnosis; every field is part of the run's identity.

    Attributes:
        samples: the number of gradients drawn of each estimator.
        tuning_steps: the maximum number of tuning steps of estimators that learn.
        budget: evaluations of f at which errors are compared.
    """

    samples: int = 1024
    tuning_steps: int = TUNING_STEPS
    budget: float = 100.0


def diagnosis_study(
    model: Model,
    candidates: Sequence[Estimator],
    seed: int,
    settings: DiagnoseSettings,
    source: str,
    module: str,
) -> Study[Estimator]:
    """Return the study of estimators on a user's model, at its parameters and one batch.

    Args:
        model: the model.
        candidates: the estimators.
        seed: the random seed.
        settings: settings of the diagnosis.
        source: the model's name on the command line.
        module: the name of the module of the user's file.
    """
    parts = {str(estimator): estimator for estimator in candidates}
    modules = {module} | modules_of(candidates)
    configuration = {
        "study": STUDY,
        "problem": source,
        "numbers": model.fingerprint,
        "estimators": list(parts),
        "seed": seed,
        **dataclasses.asdict(settings),
        **sources(modules),
    }

    def rows(
        parts: Mapping[str, Estimator], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        yield from measured(model, parts, jax.random.key(seed), settings, progress)
        check(model, results.rows)

    return Study(STUDY, configuration, {__name__} | modules, parts, rows, found_in("estimator"))


def measured(
    model: Model,
    estimators: Mapping[str, Estimator],
    key: jax.Array,
    settings: DiagnoseSettings,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Yield the rows of each estimator in turn.

    Args:
        model: the model.
        estimators: the estimators, by name.
        key: a typed random key, consumed.
        settings: settings of the diagnosis.
        progress: reports progress.

    Raises:
        UsageError: if the true gradient is not finite, or takes too much time or memory.
    """
    keys = dict(zip(("truth", "tune", "measure"), jax.random.split(key, 3), strict=True))
    progress.say("finding the true gradient")
    instrument = Instrument(model, model.group)
    start, samples = (model.parameters, model.fixed), REFERENCE_SHARE * settings.samples
    reference = reference_estimator(model, model.calls.distribution)
    if reason := limits.refusal(model, reference, start, model.calls.distribution, samples):
        raise UsageError(f"{model} cannot be diagnosed: {reference} {reason}")
    point = instrument.point(
        *start, keys["truth"], samples, lambda done: progress.note(f"true gradient, {done:.0%}")
    )
    if not np.isfinite(point.truth.mean).all():
        raise UsageError(f"the gradient of {model} is not finite at these parameters")
    shared = {"study": STUDY, "problem": str(model), "objective": model.objective}
    shared |= {"group": model.group, "seed": 0, "step": 0}
    for name, estimator in estimators.items():
        with progress.task(name) as advance:
            columns = shared | estimator_columns(estimator)
            times = settings.samples + (settings.tuning_steps if is_tuned(estimator) else 0)
            if reason := limits.refusal(model, estimator, start, point.distribution, times):
                yield [columns | skipped(reason)]
                continue
            ready = point.ready(estimator, keys["tune"], settings.tuning_steps)
            (blocks,) = point.draw(
                ready.estimator,
                keys["measure"],
                settings.samples,
                timed=True,
                progress=advance,
            )
            # Timed immediately afterwards, since the machine's load varies.
            plain = dataclasses.replace(blocks, seconds=point.timed(_PLAIN))
            count = model.evaluations(estimator, point.distribution)
            found = metric_rows(blocks, point.truth, count, settings.budget, ready.note)
            seconds = intervals.seconds(plain).interval()
            found.append(found[0] | {"metric": "plain_seconds", **seconds})
            yield [columns | row for row in found]


def check(model: Model, rows: Sequence[Row]) -> None:
    """Check that the rows allow a recommendation.

    Raises:
        UsageError: if no estimator fits the model, or its gradient is always zero.
    """
    if all(row["metric"] == "skipped" for row in rows):
        raise UsageError("no estimator fits the model")
    sampled = [row for row in rows if row["method"] != "Exact"]
    errors = [row["value"] for row in sampled if row["metric"] == "mse"]
    norms = [row["value"] for row in rows if row["metric"] == "truth_norm"]
    if errors and not any(errors + norms):
        raise UsageError(
            f"the gradient of {model} is zero for every sample: neither the distribution "
            "nor f depends on the model"
        )
