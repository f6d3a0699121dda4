"""The training study: every estimator's batch of runs, one after another."""

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from estimators import Estimator
from experiments.measurement.rows import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in
from experiments.studies.training.runs import BatchInputs, EstimatorBatch
from experiments.studies.training.settings import STUDY, TrainSettings
from experiments.system.errors import UsageError
from experiments.system.folder import slug
from experiments.training import saved

CHECKPOINT_SECONDS = 30.0


def training(
    settings: TrainSettings,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    keep: Collection[int] = (),
) -> Study[Estimator]:
    """Return the study with a batch of runs for each estimator.

    An interrupted batch continues from its checkpoint.

    Args:
        settings: the settings.
        checkpoint_seconds: the minimum number of seconds between two checkpoints; results do not
            depend on it.
        keep: the steps whose checkpoints are kept, besides the newest; nor do results depend on it.

    Raises:
        UsageError: if one is after the end of training.
    """
    if late := [step for step in keep if step > settings.steps]:
        raise UsageError(f"step {late[0]} cannot be kept: training ends at {settings.steps}")
    return Study(
        STUDY,
        settings.configuration(),
        {__name__} | settings.modules,
        {str(settings.members(one)[0]): one for one in settings.estimators},
        functools.partial(_rows, settings, checkpoint_seconds, keep),
        found_in("estimator"),
    )


def _rows(
    settings: TrainSettings,
    checkpoint_seconds: float,
    keep: Collection[int],
    parts: Mapping[str, Estimator],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Train batches; their checkpoints and pictures are in the folder of the results."""
    shared, folder = BatchInputs(settings), results.folder
    batches = [
        EstimatorBatch(shared, one, folder.checkpoints, results.environment, keep)
        for one in parts.values()
    ]
    # Unusable checkpoints are rejected before anything is computed.
    restored = [batch.restore() for batch in batches]
    for batch in batches:
        with progress.task(batch.short_name) as advance:
            rows = batch.train(restored.pop(0), advance, progress, checkpoint_seconds)
            if pictures := batch.pictures():
                with folder.staged() as stage:
                    np.savez_compressed(stage / f"pictures-{batch.slug}.npz", **pictures)
            yield rows
            batch.finish()


def not_kept(results: Results, estimators: Iterable[Estimator], keep: Collection[int]) -> list[int]:
    """Return which steps have no checkpoint in the batch of each of the estimators."""
    folders = [results.folder.checkpoints / slug(str(one)) for one in estimators]
    return sorted({step for step in keep if not all(step in saved.steps(one) for one in folders)})
