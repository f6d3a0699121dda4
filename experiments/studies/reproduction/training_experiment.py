"""Experiments that compare candidates on held-out images, and train the best one."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from estimators import Estimator
from experiments.data import Split
from experiments.measurement.rows import Row
from experiments.optimisers import Adam, Optimiser
from experiments.problems import Problem
from experiments.studies.reproduction.table import (
    Batch,
    CellRun,
    Experiment,
    Scale,
    Selection,
)
from experiments.studies.training.runs import BatchInputs, EstimatorBatch
from experiments.studies.training.settings import TrainSettings
from experiments.training.schedules import Schedule

_CHECKPOINT_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to train with an estimator, compared with others.

    Attributes:
        estimator: the estimator.
        schedules: schedules of its fields.
        optimiser: overrides the experiment's, for example with another weight decay.
        problem: overrides the experiment's, for example with another weight in the objective.
    """

    estimator: Estimator
    schedules: tuple[tuple[str, Schedule], ...] = ()
    optimiser: Optimiser | None = None
    problem: Problem | None = None

    def __str__(self) -> str:
        """Return a description."""
        schedules = [f"{name}={schedule}" for name, schedule in self.schedules]
        others = [str(one) for one in (self.optimiser, self.problem) if one is not None]
        return ", ".join([str(self.estimator), *schedules, *others])


Candidate = tuple[Variant, float]
"""A variant at a learning rate."""


@dataclasses.dataclass(frozen=True)
class TrainingExperiment(Experiment):
    """Training with an estimator.

    Attributes:
        problem: the problem.
        variants: variants of the estimator; a scale may limit their number.
        rates: the published learning rates; a candidate is a variant at a rate.
        optimiser: the optimiser.
        chosen_by: the metric on images that selects the best candidate; without images, the
            training loss does.
        higher_is_better: whether higher values of the metric are better.
        chosen_on: the split of these images.
    """

    problem: Problem
    variants: tuple[Variant, ...]
    rates: tuple[float, ...]
    optimiser: Optimiser = Adam()
    chosen_by: str = "negative_bound"
    higher_is_better: bool = False
    chosen_on: Split = "validation"

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {
            "problem": str(self.problem),
            "variants": list(map(str, self.variants)),
            "rates": list(self.rates),
            "optimiser": str(self.optimiser),
            "chosen_by": self.chosen_by,
            **({} if self.chosen_on == "validation" else {"chosen_on": self.chosen_on}),
        }

    @property
    def about_data(self) -> str:
        """The description of the data in tables."""
        return self.problem.about_data

    def batches(self, scale: Scale) -> list[Batch]:
        """Return the runs that compare candidates, and those of one, in place of the best."""
        candidates = self._candidates(scale)
        final = [(variant, scale.steps, scale.seeds) for variant, _ in candidates]
        if scale.selection is not None and len(candidates) > 1:
            compared = [(variant, scale.selection.steps, 1) for variant, _ in candidates]
            final = [*compared, final[0]]
        found: dict[tuple[Variant, int], int] = {}
        for variant, steps, runs in final:
            found[variant, steps] = found.get((variant, steps), 0) + runs
        return [
            Batch(variant.problem or self.problem, variant.estimator, steps, runs)
            for (variant, steps), runs in found.items()
        ]

    def run(self, run: CellRun) -> list[Row]:
        """Compare the candidates, and train the best one."""
        scale, splits, advance = run.scale, run.splits, run.advance
        candidates = self._candidates(scale)
        settings = TrainSettings(
            self.problem,
            [],
            steps=scale.steps,
            seeds=scale.seeds,
            seed=run.seed,
            bound_samples=scale.bound_samples,
            evaluation_examples=scale.images,
        )
        if len(candidates) > 1 and scale.selection is None:
            # All are trained in full, so the best is too.
            settings = dataclasses.replace(settings, splits=sorted({self.chosen_on, *splits}))
            rows = self._train(candidates, settings, run)
            return self._tried(candidates, scale.steps) + _staged(rows, self._best(rows))
        settings = dataclasses.replace(settings, splits=tuple(splits))
        compared, chosen, share = [], candidates[0], 0.0
        if len(candidates) > 1:
            assert scale.selection is not None
            quick = _quick(settings, scale.selection, self.chosen_on)
            work = quick.steps * len(candidates)
            share = work / (work + scale.steps * scale.seeds)
            part = run.part("compared", lambda x: advance(share * x))
            compared = self._train(candidates, quick, part)
            chosen = self._best(compared)
            compared = self._tried(candidates, quick.steps) + _staged(compared, None)
            if chosen is None:
                return compared
        part = run.part("final", lambda x: advance(share + x * (1 - share)))
        return compared + _staged(self._train([chosen], settings, part), chosen)

    def _candidates(self, scale: Scale) -> list[Candidate]:
        """Return the candidates of a scale."""
        return [
            (variant, rate)
            for variant in self.variants[: scale.variants]
            for rate in scale.rates or self.rates
        ]

    def _train(
        self, candidates: Sequence[Candidate], settings: TrainSettings, run: CellRun
    ) -> list[Row]:
        """Train candidates: one batch of runs for each variant, one after another."""
        rows: list[Row] = []
        variants = list(dict.fromkeys(variant for variant, _ in candidates))
        for number, variant in enumerate(variants):
            own = dataclasses.replace(
                settings,
                problem=variant.problem or self.problem,
                estimators=[variant.estimator],
                schedules=variant.schedules,
                optimiser=variant.optimiser or self.optimiser,
                learning_rates=tuple(rate for one, rate in candidates if one is variant),
            )
            part = run.part(
                str(number), lambda x, number=number: run.advance((number + x) / len(variants))
            )
            batch = EstimatorBatch(
                BatchInputs(own), variant.estimator, part.folder, part.environment
            )
            found = batch.train(batch.restore(), part.advance, part.progress, _CHECKPOINT_SECONDS)
            batch.finish()
            rows += [row | {"variant": str(variant)} for row in found]
        return rows

    def _tried(self, candidates: Sequence[Candidate], steps: int) -> list[Row]:
        """Return a row for each candidate."""
        shared = {"stage": "tried", "split": self.chosen_on, "step": steps}
        return [
            shared | {"variant": str(variant), "learning_rate": rate}
            for variant, rate in candidates
        ]

    def _best(self, rows: Sequence[Row]) -> Candidate | None:
        """Return the candidate with the best mean over seeds, None if all have diverged runs."""
        own = self.chosen_by, self.chosen_on
        evaluated = any((row["metric"], row["split"]) == own for row in rows)
        metric, split = own if evaluated else ("loss", "train")
        last = max((row["step"] for row in rows if row["metric"] == metric), default=0)
        found: dict[tuple[str, float], list[float]] = {}
        for row in rows:
            values = found.setdefault((row["variant"], row["learning_rate"]), [])
            if row["metric"] == "diverged":
                values.append(math.nan)
            elif (row["metric"], row["split"], row["step"]) == (metric, split, last):
                values.append(row["value"])
        sign = -1 if self.higher_is_better else 1
        means = {name: sign * np.mean(values) for name, values in found.items() if values}
        finite = {name: mean for name, mean in means.items() if math.isfinite(mean)}
        if not finite:
            return None
        name, rate = min(finite, key=lambda candidate: finite[candidate])
        return next(variant for variant in self.variants if str(variant) == name), rate


def _quick(settings: TrainSettings, selection: Selection, split: Split) -> TrainSettings:
    """Return the settings of runs that only compare candidates."""
    return dataclasses.replace(
        settings,
        steps=selection.steps,
        seeds=1,
        splits=(split,),
        bound_samples=selection.bound_samples,
        evaluation_examples=selection.images,
    )


def _staged(rows: Sequence[Row], chosen: Candidate | None) -> list[Row]:
    """Return rows with their stage, "final" for those of the chosen candidate."""
    final = None if chosen is None else (str(chosen[0]), chosen[1])
    return [
        row | {"stage": "final" if (row["variant"], row["learning_rate"]) == final else "candidate"}
        for row in rows
    ]
