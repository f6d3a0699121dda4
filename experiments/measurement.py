"""A problem made ready to be measured, and the rows that measuring an estimator leaves."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    BIBLIOGRAPHY,
    Continuous,
    Distribution,
    Estimator,
    Exact,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
)
from experiments import intervals
from experiments.convergence import Tuned, Tuning
from experiments.device import PRECISION
from experiments.errors import UsageError
from experiments.intervals import Estimate, Truth
from experiments.moments import Blocks, Sampler, flat
from experiments.problems import Params, Problem
from experiments.training import is_tuned, train

Row = dict[str, Any]


class Instrument:
    """Measures a problem's estimators wherever its parameters are; compiled once."""

    def __init__(self, problem: Problem, group: str, devices: list | None = None):
        """Prepare to measure.

        Args:
            problem: the objective.
            group: the parameters that gradients are with respect to, or "all".
            devices: devices to measure on; all of them unless given.
        """
        self.problem = problem
        self.group = group

        def gradient(estimator, context, key):
            params, batch = context
            chosen = choose(params, group)
            return jax.grad(lambda part: problem.loss(params | part, estimator, key, batch))(chosen)

        def exact(params, batch):
            chosen = choose(params, group)
            return jax.grad(lambda part: problem.exact_loss(params | part, batch))(chosen)

        self.sampler = Sampler(gradient, devices)
        self.exact = jax.jit(exact)
        self.tune = Tuning(problem)

    def point(
        self,
        params: Params,
        batch: Any,
        key: jax.Array,
        reference_samples: int = 8192,
        progress: Callable[[float], None] | None = None,
    ) -> "Point":
        """Return the problem at frozen parameters, with the true gradient there.

        The truth is exact where the latent variable can be enumerated; else it is the mean of a
        long run of an unbiased estimator of low variance, on keys of its own.

        Args:
            params: the parameters, without the groups that exist only while measuring.
            batch: the fixed minibatch.
            key: a typed random key, consumed: of the long run.
            reference_samples: gradients of the long run.
            progress: called with the fraction of the long run that is done.
        """
        distribution = self.problem.distribution(params, batch)
        params = self.problem.measurable(params, batch)
        point = Point(self, params, batch, distribution, None, Truth(np.zeros(0)))
        return _with_truth(point, key, reference_samples, progress)


@dataclasses.dataclass(frozen=True)
class Point:
    """A problem at frozen parameters and a fixed minibatch, with the true gradient there.

    Attributes:
        instrument: measures, here as elsewhere.
        params: the frozen parameters.
        batch: the minibatch.
        distribution: the latent variable of one example.
        centre: the true gradient as a pytree.
        truth: the true gradient as a vector, with its error if it was sampled.
    """

    instrument: Instrument
    params: Params
    batch: Any
    distribution: Distribution
    centre: Any
    truth: Truth

    @property
    def problem(self) -> Problem:
        """The objective."""
        return self.instrument.problem

    @property
    def group(self) -> str:
        """The parameters that gradients are with respect to, or "all"."""
        return self.instrument.group

    @property
    def sampler(self) -> Sampler:
        """Draws gradients; its arguments are an estimator and `(params, batch)`."""
        return self.instrument.sampler

    @property
    def chosen(self) -> Params:
        """The parameters that gradients are with respect to."""
        return choose(self.params, self.group)

    def ready(self, estimator: Estimator, key: jax.Array, limit: int) -> Tuned:
        """Return the estimator with its networks, its learned leaves tuned at this point.

        Args:
            estimator: the estimator.
            key: a typed random key, consumed; not one that measures.
            limit: the most tuning steps, for estimators that learn.
        """
        start, run = jax.random.split(key)
        estimator = estimator.initialise(start, self.distribution)
        if not is_tuned(estimator):
            return Tuned(estimator)
        rest = self.params, self.batch
        return self.instrument.tune(run, estimator, self.chosen, rest, self.centre, limit)

    def draw(
        self,
        estimator: Estimator,
        key: jax.Array,
        num_samples: int,
        *,
        stacked: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> list[Blocks]:
        """Draw gradient samples of an estimator (of each member of a stack) at this point."""
        context = self.params, self.batch
        with jax.default_matmul_precision(PRECISION):
            drawn = self.sampler.draw(
                estimator,
                context,
                key,
                num_samples,
                self.centre,
                stacked=stacked,
                progress=progress,
            )
            if not isinstance(estimator, Exact) or stacked:
                return drawn
            # All samples are the same one, which XLA computes once for many.
            return [dataclasses.replace(drawn[0], seconds=self._exact_seconds())]

    def _exact_seconds(self, rounds: int = 3) -> np.ndarray:
        """Return the time of the exact gradient, alone: `[rounds]`."""
        ends = []
        for _ in range(rounds + 2):  # the first may compile
            jax.block_until_ready(self.instrument.exact(self.params, self.batch))
            ends.append(time.perf_counter())
        return np.diff(ends[1:])


def prepare(
    problem: Problem,
    key: jax.Array,
    *,
    group: str | None = None,
    train_steps: int = 0,
    reference_samples: int = 8192,
    devices: list | None = None,
    report: Callable[[str], None] = lambda message: None,
) -> Point:
    """Train a problem briefly and find the true gradient there.

    Args:
        problem: the objective.
        key: a typed random key, consumed.
        group: the group of parameters to measure, "all" for every one, None for the problem's own.
        train_steps: Adam steps, for problems that train.
        reference_samples: gradients of a long run, where the truth is not exact.
        devices: devices to measure on; all of them unless given.
        report: is told what is going on.

    Raises:
        UsageError: for an unknown group.
    """
    keys = dict(zip(("initial", "train", "batch", "truth"), jax.random.split(key, 4), strict=True))
    data = problem.data()
    batch = problem.batch(keys["batch"], data)
    params = problem.initial(keys["initial"])
    group = check_group(problem, problem.measurable(params, batch), group)
    reference = reference_estimator(problem, problem.distribution(params, batch))
    if problem.trainable and train_steps:
        report(f"training {problem} for {train_steps} steps with {reference}")
        run = jax.jit(
            lambda key, params, data: train(
                key, problem, params, reference, data, train_steps, learning_rate=3e-3
            )
        )
        params = run(keys["train"], params, data)[0]
    report("finding the true gradient")
    instrument = Instrument(problem, group, devices)
    return instrument.point(params, batch, keys["truth"], reference_samples)


def check_group(problem: Problem, params: Params, group: str | None) -> str:
    """Return the group of parameters to measure, the problem's own unless one is named.

    Raises:
        UsageError: where the problem has no such group.
    """
    group = group or problem.group
    if group not in (*params, "all"):
        raise UsageError(f"{problem} has no group {group!r}, but {', '.join(params)}, all")
    return group


def choose(params: Params, group: str) -> Params:
    """Return the named group of parameters as a dict, or all of them."""
    return params if group == "all" else {group: params[group]}


def reference_estimator(problem: Problem, distribution: Distribution) -> Estimator:
    """Return the estimator that trains a problem, and whose long run is its true gradient."""
    if isinstance(distribution, Continuous):
        return Pathwise()
    exact = Exact()
    return exact if problem.refusal(exact, distribution) is None else ScoreFunction(LeaveOneOut(4))


def _with_truth(
    point: Point, key: jax.Array, num_samples: int, progress: Callable[[float], None] | None
) -> Point:
    problem, chosen = point.problem, point.chosen
    if jax.eval_shape(problem.exact_loss, point.params, point.batch) is not None:
        with jax.default_matmul_precision(PRECISION):
            centre = point.instrument.exact(point.params, point.batch)
        return dataclasses.replace(point, centre=centre, truth=Truth(flat(centre)))
    reference = reference_estimator(problem, point.distribution)
    zero = jax.tree.map(jnp.zeros_like, chosen)
    (blocks,) = dataclasses.replace(point, centre=zero).draw(
        reference, key, num_samples, progress=progress
    )
    mean = [jnp.asarray(part) for part in np.split(blocks.mean, _ends(zero))]
    leaves, structure = jax.tree.flatten(zero)
    shaped = [
        part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in zip(mean, leaves, strict=True)
    ]
    # The truth is what the samples are centred on, to the bit.
    centre = jax.tree.unflatten(structure, shaped)
    return dataclasses.replace(point, centre=centre, truth=Truth(flat(centre), blocks))


def _ends(tree: Any) -> list[int]:
    return list(np.cumsum([leaf.size for leaf in jax.tree.leaves(tree)])[:-1])


def estimator_columns(estimator: Estimator) -> Row:
    """Return the columns that say which estimator a row is about, as the user wrote it."""
    parameters = {}
    for name, value in estimator.hyperparameters().items():
        # As in the identity, the shortest decimal of the number's own type.
        number = isinstance(value, jax.Array)
        parameters[f"p_{name}"] = float(str(np.asarray(value)[()])) if number else value
    return {
        "estimator": str(estimator),
        "method": type(estimator).__name__,
        "unbiased": estimator.unbiased,
        "paper_link": paper.link if (paper := BIBLIOGRAPHY.get(estimator.paper)) else "",
        **parameters,
    }


def metric_rows(
    blocks: Blocks, truth: Truth, evaluations: int, budget: float, note: str = ""
) -> list[Row]:
    """Return one row for each metric: its name, value and 95% interval, and a note of them all."""
    estimates = {
        "squared_bias": intervals.squared_bias(blocks, truth),
        "variance": intervals.variance(blocks, truth),
        "mse": intervals.mean_squared_error(blocks, truth),
        "cosine_mean": intervals.cosine_of_mean(blocks, truth),
        "cosine_sample": intervals.cosine_per_sample(blocks, truth),
        "seconds": intervals.seconds(blocks),
        "equal_cost_error": intervals.equal_cost_error(blocks, truth, evaluations, budget),
        "truth_norm": _truth_norm(truth),
    }
    shared = {"evaluations": evaluations, "samples": blocks.count}
    return [
        {"metric": metric, **dataclasses.asdict(estimate), **shared}
        | {"note": "; ".join(filter(None, (note, estimate.note)))}
        for metric, estimate in estimates.items()
    ]


def _truth_norm(truth: Truth) -> Estimate:
    norm = float(np.linalg.norm(truth.mean))
    return Estimate(norm, norm, norm)
