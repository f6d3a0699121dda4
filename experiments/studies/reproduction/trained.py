"""Cells that are trained: candidates compared on validation images, the best one trained."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from estimators import Estimator
from experiments.measurement.point import Row
from experiments.problems import Problem
from experiments.running.progress import Progress
from experiments.studies.reproduction.table import Experiment, Order, Selection
from experiments.studies.training.settings import Settings
from experiments.studies.training.unit import Shared, Unit
from experiments.training.optimisers import Adam, Optimiser
from experiments.training.schedules import Schedule

_CHECKPOINT_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to run an estimator that is compared with others on validation images.

    Attributes:
        estimator: the estimator.
        schedules: of its fields.
        optimiser: where it differs from the experiment's, in its weight decay for example.
        problem: where it differs from the experiment's, in a weight of its objective for example.
    """

    estimator: Estimator
    schedules: tuple[tuple[str, Schedule], ...] = ()
    optimiser: Optimiser | None = None
    problem: Problem | None = None

    def __str__(self) -> str:
        """Return what the variant is."""
        schedules = [f"{name}={schedule}" for name, schedule in self.schedules]
        others = [str(one) for one in (self.optimiser, self.problem) if one is not None]
        return ", ".join([str(self.estimator), *schedules, *others])


Candidate = tuple[Variant, float]
"""A variant at a learning rate."""


@dataclasses.dataclass(frozen=True)
class Trained(Experiment):
    """Training with an estimator.

    Attributes:
        problem: the problem.
        variants: of the estimator; those after a budget's number of them are left out.
        rates: the published learning rates; a candidate is a variant at a rate.
        optimiser: the optimiser.
        chosen_by: the figure of the validation images that chooses; without images, the loss.
        higher_is_better: whether the highest is chosen.
    """

    problem: Problem
    variants: tuple[Variant, ...]
    rates: tuple[float, ...]
    optimiser: Optimiser = Adam()
    chosen_by: str = "negative_bound"
    higher_is_better: bool = False

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {
            "problem": str(self.problem),
            "variants": list(map(str, self.variants)),
            "rates": list(self.rates),
            "optimiser": str(self.optimiser),
            "chosen_by": self.chosen_by,
        }

    @property
    def about_data(self) -> str:
        """What tables say of the data."""
        return self.problem.about_data

    def run(self, order: Order) -> list[Row]:
        """Compare the candidates, and train the best."""
        budget, seed, splits, folder, progress, advance = order
        candidates = [
            (variant, rate)
            for variant in self.variants[: budget.variants]
            for rate in budget.rates or self.rates
        ]
        settings = Settings(
            self.problem,
            [],
            steps=budget.steps,
            seeds=budget.seeds,
            seed=seed,
            bound_samples=budget.bound_samples,
            evaluation_examples=budget.images,
        )
        if len(candidates) > 1 and budget.selection is None:
            # What validation images choose has then been trained already.
            settings = dataclasses.replace(settings, splits=sorted({"validation", *splits}))
            rows = self._train(candidates, settings, folder, progress, advance)
            return _tried(candidates, budget.steps) + _staged(rows, self._best(rows))
        settings = dataclasses.replace(settings, splits=tuple(splits))
        compared, chosen, share = [], candidates[0], 0.0
        if len(candidates) > 1:
            assert budget.selection is not None
            quick = _quick(settings, budget.selection)
            work = quick.steps * len(candidates)
            share = work / (work + budget.steps * budget.seeds)
            compared = self._train(
                candidates, quick, folder / "compared", progress, lambda x: advance(share * x)
            )
            chosen = self._best(compared)
            compared = _tried(candidates, quick.steps) + _staged(compared, None)
            if chosen is None:
                return compared
        rest = self._train(
            [chosen],
            settings,
            folder / "final",
            progress,
            lambda x: advance(share + x * (1 - share)),
        )
        return compared + _staged(rest, chosen)

    def _train(
        self,
        candidates: Sequence[Candidate],
        settings: Settings,
        folder: Path,
        progress: Progress,
        advance: Callable[[float], None],
    ) -> list[Row]:
        """Train candidates: those of one variant in one batch, variants one after the other."""
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
            unit = Unit(Shared(own), variant.estimator, folder / str(number))
            found = unit.train(
                unit.restore(),
                lambda x, number=number: advance((number + x) / len(variants)),
                progress,
                _CHECKPOINT_SECONDS,
            )
            unit.finish()
            rows += [row | {"variant": str(variant)} for row in found]
        return rows

    def _best(self, rows: Sequence[Row]) -> Candidate | None:
        """Return the candidate with the best mean over seeds, none of which diverged."""
        evaluated = any(row["split"] == "validation" for row in rows)
        metric, split = (self.chosen_by, "validation") if evaluated else ("loss", "train")
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


def _quick(settings: Settings, selection: Selection) -> Settings:
    """Return settings of the runs that are only compared."""
    return dataclasses.replace(
        settings,
        steps=selection.steps,
        seeds=1,
        splits=("validation",),
        bound_samples=selection.bound_samples,
        evaluation_examples=selection.images,
    )


def _tried(candidates: Sequence[Candidate], steps: int) -> list[Row]:
    """Return a row for every candidate that is compared."""
    return [
        {"stage": "tried", "variant": str(variant), "learning_rate": rate, "step": steps}
        for variant, rate in candidates
    ]


def _staged(rows: Sequence[Row], chosen: Candidate | None) -> list[Row]:
    """Return rows with their stage: those of the chosen candidate are final."""
    final = None if chosen is None else (str(chosen[0]), chosen[1])
    return [
        row | {"stage": "final" if (row["variant"], row["learning_rate"]) == final else "candidate"}
        for row in rows
    ]
