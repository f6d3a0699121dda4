"""The function that recommends an estimator for a user's model."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax

import estimators
from estimators import Estimator
from experiments.measurement.rows import Row
from experiments.running.progress import Progress
from experiments.studies.comparison.point_study import parts_of
from experiments.studies.diagnosis.model import Loss, Model
from experiments.studies.diagnosis.recommendation import needs, recommend
from experiments.studies.diagnosis.study import DiagnoseSettings, check, check_fit, measured
from experiments.training.convergence import TUNING_STEPS


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Measurements of estimators on a model, and a recommendation.

    Attributes:
        rows: tidy rows, as of `estimax compare`.
        recommended: the estimator with the smallest error at equal cost; None if none fits.
        reasons: the reasons, a sentence each.
    """

    rows: list[Row]
    recommended: str | None
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """Return the recommendation and its reasons, a line each."""
        return "\n".join([f"recommended: {self.recommended}", *self.reasons])


def diagnose(
    loss: Loss,
    model: Any,
    key: jax.Array,
    batch: Any = None,
    *,
    candidates: Sequence[Estimator] | None = None,
    samples: int = 1024,
    tuning_steps: int = TUNING_STEPS,
    budget: float = 100.0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Measure every estimator that fits a model, at its parameters and one batch; recommend one.

    Bias is measured against the exact gradient if all sampled variables can be enumerated,
    otherwise against a long run of leave-one-out. Errors are compared at equal cost: squared bias +
    variance x evaluations of f / budget.

    Args:
        loss: `loss(model, estimator, key, batch)`, which calls the estimator for its discrete
            variables and returns a scalar.
        model: a flax nnx module, an equinox module, or any pytree; gradients are with respect to
            its floating-point arrays.
        key: a typed random key, consumed.
        batch: the last argument of the loss, fixed.
        candidates: the estimators; by default all, in their default variants.
        samples: the number of gradients per estimator.
        tuning_steps: the maximum number of tuning steps of learned estimators.
        budget: evaluations of f for the error at equal cost.
        progress: reports progress.

    Raises:
        UsageError: if the loss takes other arguments, returns no scalar, calls no estimator or has
            no finite gradient; if no array of the model is floating-point; if no candidate fits;
            or if nothing depends on the samples.
    """
    if candidates is None:
        candidates = [one for cls in estimators.ALL for one in cls.examples()]
    parts = parts_of(candidates)
    settings = DiagnoseSettings(samples=samples, tuning_steps=tuning_steps, budget=budget)
    checked = Model.of(loss, model, batch)
    check_fit(checked, candidates)
    shown = progress or Progress(len(parts), silent=True)
    rows: list[Row] = []
    for found in measured(checked, parts, rows, key, settings, shown):
        rows += found
    check(checked, rows)
    return diagnosis(rows, candidates, budget)


def diagnosis(rows: list[Row], candidates: Sequence[Estimator], budget: float) -> Diagnosis:
    """Return the recommendation that follows from the rows of candidates."""
    best, reasons = recommend(rows, budget)
    chosen = next((one for one in candidates if str(one) == best), None)
    # The note of a time concerns tuning only.
    notes = [row["note"] for row in rows if (row["estimator"], row["metric"]) == (best, "seconds")]
    more = (needs(chosen, *notes),) if chosen else ()
    return Diagnosis(rows, best, (*reasons, *more))
