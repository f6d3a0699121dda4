"""Experiments that measure a ratio of speeds."""

import dataclasses
from typing import Any

import numpy as np

from estimators import Estimator
from experiments.measurement.rows import Row
from experiments.problems import Problem
from experiments.statistics import sample_mean
from experiments.studies.reproduction.table import Batch, CellRun, Experiment, Scale
from experiments.training.timing import rounds

_ROUNDS = 7


@dataclasses.dataclass(frozen=True)
class SpeedExperiment(Experiment):
    """Ratio of training steps per second with two estimators.

    Attributes:
        problem: the problem.
        estimator: the estimator whose speed is the numerator.
        other: the estimator whose speed is the denominator.
    """

    problem: Problem
    estimator: Estimator
    other: Estimator

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {"problem": str(self.problem), "estimators": [str(self.estimator), str(self.other)]}

    def batches(self, scale: Scale) -> list[Batch]:
        """Return a run of each estimator, as long as all rounds."""
        steps = scale.steps * _ROUNDS
        return [Batch(self.problem, one, steps, 1) for one in (self.estimator, self.other)]

    def run(self, run: CellRun) -> list[Row]:
        """Time both in alternating rounds; the interval is over the rounds' ratios."""
        made = []
        for estimator in (self.estimator, self.other):
            run.progress.note(f"compiling {estimator}")
            made.append(rounds(self.problem, estimator, [run.seed], run.scale.steps))
        seconds = []
        for number in range(_ROUNDS):
            seconds.append([one_round() for one_round in made])
            run.advance((number + 1) / _ROUNDS)
        upper, lower = run.scale.steps / np.array(seconds).T
        shared = {"stage": "final", "problem": str(self.problem), "seed": run.seed, "split": ""}
        shared |= {"step": 0, "samples": _ROUNDS}
        found = {
            "speed_ratio": (f"{self.estimator} over {self.other}", upper / lower),
            "steps_per_second": (str(self.estimator), upper),
            "steps_per_second_other": (str(self.other), lower),
        }
        return [
            shared | {"metric": metric, "estimator": name} | sample_mean(values).interval()
            for metric, (name, values) in found.items()
        ]
