"""Which estimator for a model of the user's own: all that fit, measured at its own parameters."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

import estimators
from estimators import BlackBox, Distribution, Estimator, ImportanceBound
from experiments.errors import UsageError
from experiments.measurement import Instrument, Row, estimator_columns, metric_rows
from experiments.problems.latent import evaluations
from experiments.problems.problem import Params, Problem
from experiments.progress import Progress
from experiments.studies.compare import skipped

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
    tune_steps: int = 300,
    budget: float = 100.0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Measure every estimator that fits a model, at its parameters and a batch; recommend one.

    Bias is against the exact gradient where the first distribution can be enumerated, else against
    a long run of leave-one-out. Errors are compared at equal cost: squared bias + variance x
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
        tune_steps: tuning steps of those that learn.
        budget: evaluations of f at which errors are compared.
        progress: is told how far it is.

    Raises:
        UsageError: where the loss calls no estimator, or no candidate fits.
    """
    problem = Model(loss, *_split(model), batch)
    everything = [one for cls in estimators.ALL for one in cls.examples()]
    wanted = list(everything if candidates is None else candidates)
    keys = dict(zip(("truth", "tune", "measure"), jax.random.split(key, 3), strict=True))
    instrument = Instrument(problem, problem.group)
    point = instrument.point(problem.parameters, batch, keys["truth"], 4 * samples)
    shared = {"study": STUDY, "problem": str(problem), "objective": problem.objective}
    shared |= {"group": problem.group, "seed": 0, "step": 0}
    rows: list[Row] = []
    shown = progress or Progress(len(wanted), silent=True)
    for estimator in wanted:
        with shown.task(str(estimator)) as advance:
            columns = shared | estimator_columns(estimator)
            if reason := problem.refusal(estimator, point.distribution):
                rows.append(columns | skipped(reason))
                continue
            ready = point.ready(estimator, keys["tune"], tune_steps)
            (blocks,) = point.draw(ready, keys["measure"], samples, progress=advance)
            count = problem.evaluations(estimator, point.distribution)
            rows += [columns | row for row in metric_rows(blocks, point.truth, count, budget)]
    if all(row["metric"] == "skipped" for row in rows):
        raise UsageError("no estimator fits the model")
    return Diagnosis(rows, *recommend(rows, budget))


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What a loss does with its estimator: its outermost call, and how deep calls are nested."""

    distribution: Distribution
    is_black_box: bool
    is_bound: bool
    depth: int


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
class Model(Problem):
    """A user's loss at the parameters and the batch that it is diagnosed at.

    Args:
        loss_of: the loss.
        arrays: the floating-point arrays of the model.
        rebuild: makes the model of such arrays.
        fixed: the batch.
    """

    loss_of: Loss
    arrays: Any
    rebuild: Callable[[Any], Any]
    fixed: Any

    def __str__(self) -> str:
        """Return the name of the loss."""
        return getattr(self.loss_of, "__name__", type(self.loss_of).__name__)

    @property
    def objective(self) -> str:
        """The user's own."""
        return "loss"

    @property
    def group(self) -> str:
        """All there is."""
        return "model"

    @property
    def parameters(self) -> Params:
        """The model's arrays, as a problem's."""
        return {"model": self.arrays}

    def initial(self, key: jax.Array) -> Params:
        """Return the parameters as they are."""
        del key
        return self.parameters

    def data(self, split: Any = "train") -> None:
        """Return None: there is the one batch."""
        del split

    def batch(self, key: jax.Array, data: Any) -> Any:
        """Return the batch."""
        del key, data
        return self.fixed

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return a distribution like that of the outermost call: its type and shape count."""
        del params, batch
        return self.seen.distribution

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the user's loss."""
        return self.loss_of(self.rebuild(params["model"]), estimator, key, batch)

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit what the loss calls it with."""
        if estimator.needs_bound and not self.seen.is_bound:
            return "needs a multi-sample bound, an ImportanceBound"
        if estimator.differentiates and self.seen.is_black_box:
            return "needs the derivative of f, which is a black box"
        return estimator.refusal(distribution)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the evaluations of the innermost f, of calls nested as deep as the loss's."""
        return evaluations(estimator, distribution, self.seen.depth)

    @functools.cached_property
    def seen(self) -> _Seen:
        """What the loss does with its estimator, found by tracing it."""
        recorder: Any = _Recorder()
        jax.eval_shape(
            lambda arrays: self.loss({"model": arrays}, recorder, jax.random.key(0), self.fixed),
            self.arrays,
        )
        if not recorder.calls:
            raise UsageError(f"{self} never calls its estimator")
        distribution, f = recorder.calls[0]
        like = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), distribution)
        return _Seen(like, isinstance(f, BlackBox), isinstance(f, ImportanceBound), recorder.depth)


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
    for row in rows:
        if row["metric"] != "skipped" and row["method"] != "Exact":
            by_name.setdefault(row["estimator"], {})[row["metric"]] = row
    order = sorted(by_name, key=lambda name: by_name[name]["equal_cost_error"]["value"])
    if not order:
        return None, ("nothing but exact enumeration fits",)
    best, *others = order
    found = by_name[best]
    error = found["equal_cost_error"]
    reasons = [
        f"its error at {budget:g} evaluations of f is the least, {error['value']:.3g} "
        "(squared bias + variance x evaluations / budget)",
        _bias(found),
        f"a gradient takes {error['evaluations']} evaluations of f and "
        f"{found['seconds']['value'] * 1e3:.3g} ms here",
    ]
    alike = [name for name in others if by_name[name]["equal_cost_error"]["low"] <= error["high"]]
    if alike:
        reasons.append(f"not distinguishable from it with these samples: {', '.join(alike[:5])}")
    unbiased = [name for name in order if by_name[name]["equal_cost_error"]["unbiased"] == "yes"]
    if unbiased and unbiased[0] != best:
        factor = by_name[unbiased[0]]["equal_cost_error"]["value"] / error["value"]
        reasons.append(f"the best without bias is {unbiased[0]}, with {factor:.3g} times its error")
    exact = [row for row in rows if row["method"] == "Exact" and row["metric"] == "seconds"]
    if exact:
        reasons.append(
            f"the exact gradient can be had too: {exact[0]['evaluations']} evaluations of f and "
            f"{exact[0]['value'] * 1e3:.3g} ms each"
        )
    return best, tuple(reasons)


def _bias(found: dict[str, Row]) -> str:
    bias = found["squared_bias"]
    if bias["unbiased"] == "yes":
        return "it is unbiased"
    norm = found["truth_norm"]["value"] ** 2
    share = bias["value"] / norm if norm else float("nan")
    if bias["low"] <= 0:
        return f"its bias is not distinguishable from zero with {bias['samples']} samples"
    return f"it is biased: squared bias is {100 * share:.2g} % of the squared gradient"
