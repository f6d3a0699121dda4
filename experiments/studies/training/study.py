"""The training study: every estimator's batch of runs, one after the other."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from estimators import Estimator
from experiments.measurement.point import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.training.runs import BatchInputs, EstimatorBatch
from experiments.studies.training.settings import STUDY, TrainSettings


@dataclasses.dataclass(frozen=True)
class Training(Study[Estimator]):
    """A batch of runs for each estimator; an interrupted batch continues from its checkpoint.

    Attributes:
        settings: what is trained and how.
        checkpoint_seconds: the minimum number of seconds between two checkpoints; results do not
            depend on it.
    """

    settings: TrainSettings
    checkpoint_seconds: float = 30.0

    @property
    def name(self) -> str:
        """The kind of study."""
        return STUDY

    @property
    def parts(self) -> Mapping[str, Estimator]:
        """The estimators."""
        return {str(estimator): estimator for estimator in self.settings.estimators}

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return self.settings.configuration()

    @property
    def modules(self) -> set[str]:
        """The names of the modules that train, and of the problem and the estimators."""
        return {type(self).__module__} | self.settings.modules

    def done(self, rows: Sequence[Row]) -> set[str]:
        """Return the estimators of whose variants the first has rows."""
        there, members = {row["estimator"] for row in rows}, self.settings.members
        return {name for name, one in self.parts.items() if str(members(one)[0]) in there}

    def run(
        self, parts: Mapping[str, Estimator], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        """Train batches; their checkpoints and pictures are in the folder of the results."""
        shared, folder = BatchInputs(self.settings), results.folder
        batches = [EstimatorBatch(shared, one, folder.checkpoints) for one in parts.values()]
        # Checkpoints that cannot be used are refused before anything is computed.
        restored = [batch.restore() for batch in batches]
        for batch in batches:
            with progress.task(batch.name) as advance:
                rows = batch.train(restored.pop(0), advance, progress, self.checkpoint_seconds)
                if pictures := batch.pictures():
                    with folder.staged() as stage:
                        np.savez_compressed(stage / f"pictures-{batch.slug}.npz", **pictures)
                yield rows
                batch.finish()
