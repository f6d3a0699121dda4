"""The recommendation that follows from measured rows, and its reasons."""

from collections.abc import Sequence

import jax
import numpy as np

from estimators import Estimator
from experiments.measurement.rows import Row
from experiments.training import is_tuned


def recommend(rows: Sequence[Row], budget: float) -> tuple[str | None, tuple[str, ...]]:
    """Return the estimator with the smallest error at equal cost, and the reasons.

    Args:
        rows: the rows of one comparison.
        budget: evaluations of f for the error at equal cost.
    """
    by_name: dict[str, dict[str, Row]] = {}
    exact: dict[str, Row] = {}
    for row in rows:
        if row["metric"] != "skipped":
            found = exact if row["method"] == "Exact" else by_name.setdefault(row["estimator"], {})
            found[row["metric"]] = row
    errors = {name: found["equal_cost_error"] for name, found in by_name.items()}
    finite = [name for name, error in errors.items() if np.isfinite(error["value"])]
    if not finite:
        return None, ("only exact enumeration fits",)
    refused = [name for name in finite if not np.isfinite(errors[name]["high"])]
    # Estimators without intervals are ranked only if no estimator has one.
    ranked = [name for name in finite if name not in refused] or finite
    # Ranked by upper limits, since an estimate may be near zero by chance.
    end, least = ("value", "value") if ranked == refused else ("high", "upper limit")
    order = sorted(ranked, key=lambda name: errors[name][end])
    best, *others = order
    found, error = by_name[best], errors[best]
    interval = f"[{error['low']:.3g}, {error['high']:.3g}]"
    if best in refused:
        interval = (
            f"without an interval ({error['note']}), like all others: the ranking may be wrong"
        )
    reasons = [
        f"its error at {budget:g} evaluation{'s' * (budget != 1)} of f, {error['value']:.3g} "
        f"{interval}, has the lowest {least} (squared bias + variance x evaluations / budget)",
        _bias(found),
        f"a gradient takes {_cost(found)} (of the loss at one sample, without a gradient through "
        "sampling)",
    ]
    alike = [name for name in others if errors[name]["low"] <= error["high"]]
    if alike:
        several = ", ".join(f"{name} ({_times(by_name[name])})" for name in alike[:5])
        several += f" and {len(alike) - 5} more" if len(alike) > 5 else ""
        reasons.append(f"with intervals that overlap its own: {several}")
    unbiased = [name for name in order if errors[name]["unbiased"] == "yes"]
    if unbiased and unbiased[0] != best:
        other, least = errors[unbiased[0]]["value"], error["value"]
        times = f", with {other / least:.3g} times its error" if least > 0 else ""
        reasons.append(
            f"the best unbiased estimator is {unbiased[0]}{times}; it takes "
            f"{_cost(by_name[unbiased[0]])}"
        )
    if exact:
        reasons.append(f"Exact() has no error here, and takes {_cost(exact)}")
    if refused and best not in refused:
        several = "; ".join(f"{name}: {errors[name]['note']}" for name in refused)
        reasons.append(f"left out, no interval: {several}")
    if failed := [name for name in errors if name not in finite]:
        reasons.append(f"left out, not finite: {', '.join(failed)}")
    return best, tuple(reasons)


def _bias(found: dict[str, Row]) -> str:
    bias = found["squared_bias"]
    if bias["unbiased"] == "yes":
        return "it is unbiased"
    norm = found["truth_norm"]["value"] ** 2 or float("nan")
    if np.isnan(bias["low"]):
        return f"its bias is unknown: {bias['note'] or 'not finite'}"
    if bias["low"] <= 0:
        return (
            f"its bias is not distinguishable from zero with {bias['samples']} samples (squared, "
            f"at most {100 * bias['high'] / norm:.2g} % of the squared gradient), which may "
            "differ at other parameters"
        )
    return (
        f"it is biased: squared bias is {100 * bias['value'] / norm:.2g} % of the squared gradient"
    )


def _cost(found: dict[str, Row]) -> str:
    count, seconds = found["seconds"]["evaluations"], found["seconds"]["value"]
    return (
        f"{count} evaluation{'s' * (count != 1)} of f and {1e3 * seconds:.3g} ms, "
        f"{_times(found)} of a plain gradient"
    )


def _times(found: dict[str, Row]) -> str:
    return f"{found['seconds']['value'] / found['plain_seconds']['value']:.2g} times the time"


def needs(estimator: Estimator, note: str) -> str:
    """Return advice on the estimator's hyperparameters or learned parameters."""
    if is_tuned(estimator):
        learned = "tuned here first" + (f" ({note})" if note else "")
        return (
            f"it has parameters of its own, {learned}: train them together with the model's, in "
            "the same backward pass, jax.value_and_grad(loss, argnums=(0, 1))"
        )
    numbers = {
        name: value
        for name, value in estimator.hyperparameters().items()
        if isinstance(value, jax.Array)
    }
    if not numbers:
        return "there is nothing to tune"
    given = ", ".join(f"{name} {np.asarray(value)}" for name, value in numbers.items())
    return f"measured at {given}, which was not searched: try others, as estimators of their own"
