"""Which estimator for a model of the user's own: all that fit, measured at its own parameters."""

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import estimators
from estimators import BlackBox, Distribution, Estimator, Exact, ImportanceBound
from experiments import statistics as intervals
from experiments.measurement.point import (
    Instrument,
    Row,
    estimator_columns,
    metric_rows,
    reference_estimator,
)
from experiments.problems import Measurable, Params
from experiments.problems.latent import evaluations
from experiments.running import limits
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.studies.comparison.compare import skipped
from experiments.system.errors import UsageError
from experiments.training import is_tuned
from experiments.training.convergence import TUNING_STEPS

STUDY = "diagnose"

Loss = Callable[[Any, Estimator, jax.Array, Any], jax.Array]
"""`loss(model, estimator, key, batch)`: a scalar estimate of what is minimised."""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What was measured, and what follows.

    Attributes:
        rows: the tidy rows, as `estimax compare` writes them; `analysis.comparison_table` reads
            them.
        recommended: the estimator with the least error at equal cost; None where none fits.
        reasons: why, a sentence each.
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
    results: Results | None = None,
) -> Diagnosis:
    """Measure every estimator that fits a model, at its parameters and a batch; recommend one.

    Bias is against the exact gradient where all that is sampled can be enumerated, else against a
    long run of leave-one-out. Errors are compared at equal cost: squared bias + variance x
    evaluations of f / budget.

    Args:
        loss: `loss(model, estimator, key, batch)`, which calls the estimator for its discrete
            variables and returns a scalar.
        model: a flax nnx module, an equinox module, or any pytree; gradients are with respect to
            its floating-point arrays.
        key: a typed random key, consumed.
        batch: what the loss is given, fixed.
        candidates: the estimators; every one in its usual variants unless given.
        samples: gradients drawn of each.
        tuning_steps: the most tuning steps of those that learn.
        budget: evaluations of f at which errors are compared.
        progress: reports progress.
        results: receives the rows as they come; estimators whose rows it holds are not measured
            again.

    Raises:
        UsageError: where the loss takes other arguments, returns no scalar, calls no estimator or
            has no finite gradient, where no array of the model is floating-point, no candidate
            fits, or nothing depends on what is sampled.
    """
    problem = Model(loss, *_split(model), batch)
    problem.check()
    everything = [one for cls in estimators.ALL for one in cls.examples()]
    named = everything if candidates is None else candidates
    wanted = list({str(one): one for one in named}.values())  # one named twice is measured once
    rows: list[Row] = results.rows if results else []
    add = results.add if results else rows.extend
    shown = progress or Progress(len(wanted), silent=True)
    done = {row["estimator"] for row in rows}
    for name in (str(one) for one in wanted if str(one) in done):
        shown.skip(name)
    pending = [one for one in wanted if str(one) not in done]
    for found in _measured(problem, pending, key, samples, tuning_steps, budget, shown):
        add(found)
    _check_measured(rows, problem)
    if results:
        results.finish()
    best, reasons = recommend(rows, budget)
    chosen = next((one for one in wanted if str(one) == best), None)
    # Of tuning alone: a time lacks no interval.
    notes = [row["note"] for row in rows if (row["estimator"], row["metric"]) == (best, "seconds")]
    needs = (_needs(chosen, *notes),) if chosen else ()
    return Diagnosis(rows, best, (*reasons, *needs))


def _measured(
    problem: "Model",
    pending: Sequence[Estimator],
    key: jax.Array,
    samples: int,
    tuning_steps: int,
    budget: float,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Yield the rows of one estimator after the other."""
    if not pending:
        return
    keys = dict(zip(("truth", "tune", "measure"), jax.random.split(key, 3), strict=True))
    progress.say("finding the true gradient")
    instrument = Instrument(problem, problem.group)
    start = problem.parameters, problem.fixed
    _check_reference(problem, start, 4 * samples)
    point = instrument.point(
        *start, keys["truth"], 4 * samples, lambda done: progress.note(f"true gradient, {done:.0%}")
    )
    if not np.isfinite(point.truth.mean).all():
        raise UsageError(f"the gradient of {problem} is not finite at these parameters")
    shared = {"study": STUDY, "problem": str(problem), "objective": problem.objective}
    shared |= {"group": problem.group, "seed": 0, "step": 0}
    for estimator in pending:
        with progress.task(str(estimator)) as advance:
            columns = shared | estimator_columns(estimator)
            times = samples + (tuning_steps if is_tuned(estimator) else 0)
            if reason := limits.refusal(problem, estimator, start, point.distribution, times):
                yield [columns | skipped(reason)]
                continue
            ready = point.ready(estimator, keys["tune"], tuning_steps)
            # Just after, since the machine may be busier at another time.
            (blocks,) = point.draw(
                ready.estimator, keys["measure"], samples, timed=True, progress=advance
            )
            plain = dataclasses.replace(blocks, seconds=point.timed(_PLAIN))
            count = problem.evaluations(estimator, point.distribution)
            found = metric_rows(blocks, point.truth, count, budget, ready.note)
            seconds = intervals.seconds(plain).interval()
            found.append(found[0] | {"metric": "plain_seconds", **seconds})
            yield [columns | row for row in found]


def _check_reference(problem: "Model", start: tuple[Params, Any], samples: int) -> None:
    distribution = problem.seen.distribution
    reference = reference_estimator(problem, distribution)
    if reason := limits.refusal(problem, reference, start, distribution, samples):
        raise UsageError(f"{problem} cannot be diagnosed: {reference} {reason}")


def fingerprint(model: Any, batch: Any) -> str:
    """Return a hash of the numbers of a model and a batch: part of a run's identity."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((_split(model)[0], batch)):
        is_plain = not jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.extended)
        digest.update(np.asarray(leaf if is_plain else jax.random.key_data(leaf)).tobytes())
    return digest.hexdigest()[:12]


def _check_measured(rows: Sequence[Row], problem: Measurable) -> None:
    if all(row["metric"] == "skipped" for row in rows):
        raise UsageError("no estimator fits the model")
    errors = [row["value"] for row in rows if row["metric"] == "mse" and row["method"] != "Exact"]
    norms = [row["value"] for row in rows if row["metric"] == "truth_norm"]
    if errors and not any(errors + norms):
        raise UsageError(
            f"the gradient of {problem} is zero whatever is sampled: neither the distribution nor "
            "f depends on the model"
        )


# The loss at one sample, as if nothing were to be learned through the sampling: what an estimator's
# time is told in.
_PLAIN: Any = jax.tree_util.Partial(lambda key, distribution, f: f(distribution.sample(key)))


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What a loss does with its estimator: its calls, and how deep they are nested."""

    distribution: Distribution
    all: tuple[Distribution, ...]
    is_black_box: bool
    is_bound: bool
    depth: int


@jax.tree_util.register_static  # an estimator may pass through jit
class _Recorder:
    """Stands in for an estimator, and notes what it is called with."""

    def __init__(self):
        self.calls: list[tuple[Distribution, Any]] = []
        self.depth = self._level = 0

    def __call__(self, key: jax.Array, distribution: Any, f: Any) -> jax.Array:
        self.calls.append((distribution, f))
        self._level += 1
        self.depth = max(self.depth, self._level)
        value = f(distribution.sample(key))
        self._level -= 1
        return value


@dataclasses.dataclass(frozen=True, eq=False)
class Model(Measurable):
    """A user's loss at the parameters and the batch that it is diagnosed at.

    Args:
        loss_of: the loss.
        arrays: the floating-point arrays of the model.
        rebuild: makes the model of such arrays.
        fixed: the batch.
    """

    group = "model"

    loss_of: Loss
    arrays: Any
    rebuild: Callable[[Any], Any]
    fixed: Any

    def __str__(self) -> str:
        """Return the name of the loss."""
        return getattr(self.loss_of, "__name__", type(self.loss_of).__name__)

    @property
    def objective(self) -> str:
        """None that has a name: it is the user's own."""
        return ""

    @property
    def parameters(self) -> Params:
        """The model's arrays, as a problem's."""
        return {"model": self.arrays}

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return a distribution like that of a call: its type and shape count."""
        del params, batch
        return self.seen.distribution

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the user's loss."""
        return self.loss_of(self.rebuild(params["model"]), estimator, key, batch)

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit what the loss calls it with."""
        del distribution
        if estimator.needs_bound and not self.seen.is_bound:
            return "needs a multi-sample bound, an ImportanceBound"
        if estimator.differentiates and self.seen.is_black_box:
            return "needs the derivative of f, which is a black box"
        return next(filter(None, map(estimator.refusal, self.seen.all)), None)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the evaluations of the innermost f, of calls nested as deep as the loss's."""
        return evaluations(estimator, distribution, self.seen.depth)

    @functools.cached_property
    def seen(self) -> _Seen:
        """What the loss does with its estimator, found by tracing it."""
        recorder: Any = _Recorder()

        def value(arrays):
            returned = self.loss({"model": arrays}, recorder, jax.random.key(0), self.fixed)
            if not recorder.calls:
                raise UsageError(f"{self} never calls its estimator")
            shape = getattr(returned, "shape", None)
            if shape != ():
                what = type(returned).__name__ if shape is None else f"an array of shape {shape}"
                raise UsageError(f"{self} must return a scalar, not {what}")
            return returned

        jax.eval_shape(value, self.arrays)
        every = tuple(_like(distribution) for distribution, _ in recorder.calls)
        # One that is too large to enumerate stands for all, or the truth would be sought there.
        chosen = next((one for one in every if Exact().refusal(one)), every[0])
        is_black_box = any(isinstance(f, BlackBox) for _, f in recorder.calls)
        is_bound = all(isinstance(f, ImportanceBound) for _, f in recorder.calls)
        return _Seen(chosen, every, is_black_box, is_bound, recorder.depth)

    def check(self) -> None:
        """Raise UsageError where it is not a loss of a model with something to learn."""
        if not jax.tree.leaves(self.arrays):
            raise UsageError("the model has no floating-point array to take a gradient of")
        for leaf in jax.tree.leaves(self.fixed):
            if not isinstance(leaf, jax.typing.ArrayLike):
                raise UsageError(f"the batch holds a {type(leaf).__name__}, which is no array")
        try:
            inspect.signature(self.loss_of).bind(None, None, None, None)
        except TypeError as error:
            raise UsageError(f"{self} must take (model, estimator, key, batch): {error}") from error
        _ = self.seen


def _like(distribution: Distribution) -> Distribution:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), distribution)


def _split(model: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the floating-point arrays of a model, and what rebuilds it with others."""
    from flax import nnx

    if isinstance(model, nnx.Module):
        graph, params, rest = nnx.split(model, nnx.Param, ...)
        return params, lambda arrays: nnx.merge(graph, arrays, rest)
    leaves, structure = jax.tree.flatten(model)
    is_array = [
        hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves
    ]
    arrays = [leaf for leaf, chosen in zip(leaves, is_array, strict=True) if chosen]

    def rebuild(others):
        fresh = iter(others)
        whole = [
            next(fresh) if chosen else leaf for leaf, chosen in zip(leaves, is_array, strict=True)
        ]
        return jax.tree.unflatten(structure, whole)

    return arrays, rebuild


def recommend(rows: Sequence[Row], budget: float) -> tuple[str | None, tuple[str, ...]]:
    """Return the estimator with the least error at equal cost, and the reasons.

    Args:
        rows: of one comparison.
        budget: evaluations of f at which errors were compared.
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
        return None, ("nothing but exact enumeration fits",)
    refused = [name for name in finite if not np.isfinite(errors[name]["high"])]
    # What has no interval is ranked only where nothing has one.
    ranked = [name for name in finite if name not in refused] or finite
    # By what their errors do not exceed: a value is near zero by chance too.
    end, least = ("value", "value") if ranked == refused else ("high", "upper limit")
    order = sorted(ranked, key=lambda name: errors[name][end])
    best, *others = order
    found, error = by_name[best], errors[best]
    interval = f"[{error['low']:.3g}, {error['high']:.3g}]"
    if best in refused:
        interval = f"without an interval ({error['note']}), as none has one: the order may be wrong"
    reasons = [
        f"its error at {budget:g} evaluation{'s' * (budget != 1)} of f has the least {least}, "
        f"{error['value']:.3g} {interval} (squared bias + variance x evaluations / budget)",
        _bias(found),
        f"a gradient takes {_cost(found)} (the loss's at one sample, nothing through sampling)",
    ]
    alike = [name for name in others if errors[name]["low"] <= error["high"]]
    if alike:
        several = ", ".join(f"{name} ({_times(by_name[name])})" for name in alike[:5])
        several += f" and {len(alike) - 5} more" if len(alike) > 5 else ""
        reasons.append(f"not distinguishable from it with these samples: {several}")
    unbiased = [name for name in order if errors[name]["unbiased"] == "yes"]
    if unbiased and unbiased[0] != best:
        other, least = errors[unbiased[0]]["value"], error["value"]
        times = f", with {other / least:.3g} times its error" if least > 0 else ""
        reasons.append(
            f"the best without bias is {unbiased[0]}{times}; it takes {_cost(by_name[unbiased[0]])}"
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
        return f"whether it is biased is not known: {bias['note'] or 'not finite'}"
    if bias["low"] <= 0:
        return (
            f"its bias is not distinguishable from zero with {bias['samples']} samples (squared, "
            f"at most {100 * bias['high'] / norm:.2g} % of the squared gradient), which need not "
            "be so at other parameters"
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


def _needs(estimator: Estimator, note: str) -> str:
    """Return what a user must choose or learn besides the model."""
    if is_tuned(estimator):
        learned = "learned here first" + (f" ({note})" if note else "")
        return (
            f"it has parameters of its own, {learned}: learn them beside the model's, from the "
            "same backward pass, jax.value_and_grad(loss, argnums=(0, 1))"
        )
    numbers = {
        name: value
        for name, value in estimator.hyperparameters().items()
        if isinstance(value, jax.Array)
    }
    if not numbers:
        return "there is nothing to tune"
    given = ", ".join(f"{name} {np.asarray(value)}" for name, value in numbers.items())
    return f"measured at {given}, which was not searched: name others as candidates"
