"""The training study: every estimator's batch of runs, one after another."""

import functools
from collections.abc import Iterator, Mapping

import numpy as np

from estimators import Estimator
from experiments.measurement.rows import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in
from experiments.studies.training.runs import BatchInputs, EstimatorBatch
from experiments.studies.training.settings import STUDY, TrainSettings

CHECKPOINT_SECONDS = 30.0


def training(
    settings: TrainSettings, checkpoint_seconds: float = CHECKPOINT_SECONDS
) -> Study[Estimator]:
    """Return the study with a batch of runs for each estimator.

    An interrupted batch continues from its checkpoint.

    Args:
        settings: the settings.
        checkpoint_seconds: the minimum number of seconds between two checkpoints; results do not
            depend on it.
    """
    return Study(
        STUDY,
        settings.configuration(),
        {__name__} | settings.modules,
        {str(settings.members(one)[0]): one for one in settings.estimators},
        functools.partial(_rows, settings, checkpoint_seconds),
        found_in("estimator"),
    )


def _rows(
    settings: TrainSettings,
    checkpoint_seconds: float,
    parts: Mapping[str, Estimator],
    results: Results,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Train batches; their checkpoints and pictures are in the folder of the results."""
    shared, folder = BatchInputs(settings), results.folder
    batches = [
        EstimatorBatch(shared, one, folder.checkpoints, results.environment)
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
