"""The rows of a batch of runs, collected as it trains."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from estimators import Estimator
from estimators.naming import describe
from experiments.measurement.rows import Row, estimator_columns, family
from experiments.statistics import Estimate
from experiments.studies.training.settings import STUDY, TrainSettings
from experiments.training.run import Run


@dataclasses.dataclass
class Tally:
    """Losses since the last logged row, summed in an order independent of chunking.

    Attributes:
        count: the number of steps.
        sums: the sum of each run's losses.
        broken: each run's first loss that is not finite, as text; "" if all are finite.
    """

    count: int = 0
    sums: list[float] = dataclasses.field(default_factory=list)
    broken: list[str] = dataclasses.field(default_factory=list)

    def add(self, losses: np.ndarray) -> None:
        """Add the losses `[runs, steps]` of the next steps."""
        runs = len(losses)
        before = np.array(self.sums or [0.0] * runs)
        both = np.concatenate([before[:, None], losses.astype(np.float64)], 1)
        with np.errstate(invalid="ignore"):
            self.sums = both.cumsum(1)[:, -1].tolist()
        self.broken = [
            broken or next((str(x) for x in own if not np.isfinite(x)), "")
            for broken, own in zip(self.broken or [""] * runs, losses, strict=True)
        ]
        self.count += losses.shape[1]

    def plain(self) -> list[Any]:
        """Return the fields as plain values."""
        return [self.count, self.sums, self.broken]


class History:
    """Rows of a batch, as plain values that a checkpoint can hold.

    Attributes:
        rows: the rows so far.
        seconds: what the batch's training steps took up to the rows that are added; NaN if unknown.
    """

    def __init__(
        self,
        settings: TrainSettings,
        estimators: Sequence[Estimator],
        runs: Sequence[Run],
        evaluations: Sequence[int],
    ):
        """Start without rows.

        Args:
            settings: the settings.
            estimators: the estimator of each run of the batch.
            runs: the runs.
            evaluations: the evaluations of f that a gradient of each run takes, for one example.
        """
        self.rows: list[Row] = []
        self.seconds = 0.0
        self._columns = [
            {
                "study": STUDY,
                "problem": str(settings.problem),
                "objective": settings.problem.objective,
                "data": settings.problem.about_data,
                **estimator_columns(member),
                "optimiser": str(settings.optimiser),
                "learning_rate": float(run.rate),
                "seed": int(run.seed),
                "evaluations": count,
                "batch_runs": len(runs),
            }
            for member, run, count in zip(estimators, runs, evaluations, strict=True)
        ]
        self._bound_samples = {"negative_elbo": 1, "negative_bound": settings.bound_samples}

    def add(self, run: int, step: int, metric: str, value: Estimate | float, **more: Any) -> None:
        """Add a row of a run; a plain number has no interval."""
        if not isinstance(value, Estimate):
            value = Estimate(float(value), math.nan, math.nan)
        shared = {"step": step, "training_seconds": self.seconds, "metric": metric}
        shared |= value.interval()
        own = {"split": "", "bound_samples": 0, "note": ""}
        own |= {"measured": "", "measured_short_name": "", "measured_family": ""}
        own |= {"measured_unbiased": ""}
        self.rows.append({**self._columns[run], **shared, **own, **more})

    def log(self, step: int, tally: "Tally", lost: np.ndarray) -> None:
        """Add each run's mean loss since the last call, or its divergence.

        Args:
            step: the step after the last of the losses.
            tally: the losses since the last call.
            lost: `[runs]`, the step at which each run diverged, -1 if it did not.
        """
        for run, total in enumerate(tally.sums):
            if lost[run] < 0:
                self.add(run, step, "loss", total / tally.count, split="train")
            elif lost[run] >= step - tally.count:
                at = int(lost[run])
                self.lose(run, at, f"the loss of step {at} is {tally.broken[run]}", seen=step)

    def lose(self, run: int, at: int, reason: str, seen: int | None = None) -> None:
        """Record once that a run diverged at step `at`, detected at step `seen`."""
        own = self._columns[run].items()
        if not any(row["metric"] == "diverged" and own <= row.items() for row in self.rows):
            step = at if seen is None else seen
            self.add(run, step, "diverged", at, note=f"diverged: {reason}")

    def evaluated(self, run: int, step: int, split: str, found: dict[str, Estimate]) -> None:
        """Add the results of an evaluation."""
        for metric, estimate in found.items():
            samples = self._bound_samples.get(metric, 0)
            self.add(run, step, metric, estimate, split=split, bound_samples=samples)

    def measured(self, step: int, estimator: Estimator, group: str, rows: Sequence[Row]) -> None:
        """Add the measurements of an estimator at the first run's parameters."""
        for row in rows:
            estimate = Estimate(row["value"], row["low"], row["high"])
            more = {name: row[name] for name in ("evaluations", "samples", "note")}
            short = describe(estimator, positional=True)
            more |= {"measured": str(estimator), "measured_short_name": short, "group": group}
            more |= {"measured_family": family(estimator)}
            more |= {"measured_unbiased": estimator_columns(estimator)["unbiased"]}
            self.add(0, step, row["metric"], estimate, **more)

    def about(self, run: int) -> str:
        """Return a run in words, after its last step."""
        own = self._columns[run]
        rate = f"learning rate {own['learning_rate']:g}"
        step = max(row["step"] for row in self.rows)
        trained = f"{own['problem']}, {own['short_name']}, {own['optimiser']}, {rate}"
        return f"{trained}, seed {own['seed']}, step {step:,}"

    @property
    def loss(self) -> float:
        """The smallest of the runs' last losses."""
        last = [row for row in self.rows if row["metric"] == "loss"][-len(self._columns) :]
        return min((row["value"] for row in last), default=math.nan)

    @property
    def num_lost(self) -> int:
        """The number of runs that diverged."""
        return sum(row["metric"] == "diverged" for row in self.rows)
