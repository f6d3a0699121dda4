"""Training: a batch of runs per estimator, with checkpoints, evaluation and measurement."""

import numpy as np

from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.studies.training.settings import STUDY as STUDY
from experiments.studies.training.settings import Settings as Settings
from experiments.studies.training.settings import checked as checked
from experiments.studies.training.unit import Shared, Unit


def train(
    settings: Settings,
    results: Results,
    progress: Progress,
    *,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Train every estimator's batch of runs, adding its rows to the results when it ends.

    A batch that was killed goes on from its checkpoint, to the same numbers; one whose rows are
    there is not trained again.

    Args:
        settings: what to train.
        results: receives the rows; checkpoints and pictures lie beside them.
        progress: reports progress.
        checkpoint_seconds: at most so often a checkpoint is written; results do not depend on it.
    """
    shared, folder = Shared(settings), results.folder
    units = [Unit(shared, estimator, folder.checkpoints) for estimator in settings.estimators]
    # Before anything is computed: a checkpoint that cannot be used is refused.
    begun = {unit.name: unit.restore() for unit in units if not results.has(unit.first)}
    for unit in units:
        if unit.name not in begun:
            progress.skip(unit.name)
            continue
        with progress.task(unit.name) as advance:
            rows = unit.train(begun.pop(unit.name), advance, progress, checkpoint_seconds)
            if pictures := unit.pictures():
                with folder.staged() as stage:
                    np.savez_compressed(stage / f"pictures-{unit.slug}.npz", **pictures)
            results.add(rows)
            unit.finish()
    results.finish()
