"""A problem at frozen parameters, ready to be measured."""

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from estimators import (
    Continuous,
    Distribution,
    Estimator,
    Exact,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
    frozen,
    stack,
)
from experiments.measurement.moments import Sampler, flat
from experiments.measurement.timing import Timer
from experiments.problems import Measurable, Params, Problem, joined
from experiments.statistics import Truth
from experiments.statistics.blocks import Blocks
from experiments.system.device import PRECISION
from experiments.system.errors import UsageError
from experiments.system.text import nearest
from experiments.training import is_tuned, train
from experiments.training.convergence import Tuned, Tuning

REFERENCE_OPERATIONS = 5e11
"""A long run takes at most this many floating-point operations."""

REFERENCE_SHARE = 4
"""Samples of the true gradient per estimator sample, unless the truth is exact."""

_LEAST_REFERENCE = 64
_TERMS = 256  # gradients that show the size of their terms
_TRAINING_RATE = 3e-3


class Instrument:
    """Measures a problem's estimators at any parameters; compiled once."""

    def __init__(
        self,
        problem: Measurable,
        group: str | Sequence[str],
        devices: list | None = None,
        held: Collection[str] = (),
    ):
        """Prepare to measure.

        Args:
            problem: the objective.
            group: the parameters to differentiate with respect to, or "all"; of several, each
                gradient is computed once, with respect to their union.
            devices: devices to measure on; by default, all.
            held: names of estimators' learned fields that are not tuned.
        """
        self.problem = problem
        self.groups = (group,) if isinstance(group, str) else tuple(group)

        def gradient(estimator, context, key):
            params, batch = context
            with frozen():
                return jax.grad(
                    lambda part: problem.loss(joined(params, part), estimator, key, batch)
                )(self.chosen(params))

        def exact(params, batch):
            loss, pull = jax.vjp(
                lambda part: problem.exact_loss(joined(params, part), batch), self.chosen(params)
            )
            return None if loss is None else pull(jnp.ones_like(loss))[0]

        # Traced once for an estimator, though several programs call it.
        traced = jax.jit(gradient)
        self.sampler = Sampler(traced, devices, self.views)
        self.timer = Timer(traced, self.sampler.mesh.local_devices[0])
        self.exact = jax.jit(exact)
        self.tune = Tuning(problem, held)

    def views(self, params: Params) -> list[Params]:
        """Return the parameters of each group, or their part of a gradient."""
        groups = self.problem.groups(params)
        return [groups[name] for name in self.groups]

    def chosen(self, params: Params) -> Params:
        """Return the parameters to differentiate with respect to: those of all groups."""
        return functools.reduce(joined, self.views(params))

    def at(self, params: Params, batch: Any) -> "Point":
        """Return the problem at frozen parameters, with zero for the true gradient.

        Args:
            params: the parameters, without groups that exist only during measurement.
            batch: the fixed minibatch.
        """
        distribution = self.problem.distribution(params, batch)
        params = self.problem.measured_params(params, batch)
        chosen = self.chosen(params)
        # What is in neither exists for other measurements.
        needed = joined(self.problem.groups(params)["all"], chosen)
        params = {name: part for name, part in params.items() if name in needed}
        zero = jax.tree.map(jnp.zeros_like, chosen)
        return Point(self, params, batch, distribution, zero, self.truths(zero))

    def truths(self, gradient: Params, drawn: Sequence[Blocks] | None = None) -> tuple[Truth, ...]:
        """Return the true gradient with respect to each group.

        Args:
            gradient: the true gradient.
            drawn: the samples of each group, if it is their mean.
        """
        views, lacking = self.views(gradient), self.problem.no_truth
        each = [None for _ in views] if drawn is None else drawn
        return tuple(
            Truth(flat(view), own, lacking=lacking) for view, own in zip(views, each, strict=True)
        )

    def point(
        self,
        params: Params,
        batch: Any,
        key: jax.Array,
        reference_samples: int = 8192,
        progress: Callable[[float], None] | None = None,
    ) -> "Point":
        """Return the problem at frozen parameters, with the true gradient there.

        The arguments are those of `at` and of `Point.with_truth`.
        """
        return self.at(params, batch).with_truth(key, reference_samples, progress)


@dataclasses.dataclass(frozen=True)
class Point:
    """A problem at frozen parameters and a fixed minibatch, with the true gradient at that point.

    Attributes:
        instrument: measures here and at other points.
        params: the frozen parameters.
        batch: the minibatch.
        distribution: the latent variable of one example.
        centre: the true gradient as a pytree.
        truths: the true gradient with respect to each group as a vector, with its error if it was
            sampled.
    """

    instrument: Instrument
    params: Params
    batch: Any
    distribution: Distribution
    centre: Any
    truths: tuple[Truth, ...]

    @property
    def problem(self) -> Measurable:
        """The objective."""
        return self.instrument.problem

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups of parameters to differentiate with respect to."""
        return self.instrument.groups

    @property
    def truth(self) -> Truth:
        """The true gradient with respect to the only group."""
        (truth,) = self.truths
        return truth

    def leaves(self, group: str) -> Params:
        """Return the parameters of a group."""
        return self.problem.groups(self.params)[group]

    @property
    def sampler(self) -> Sampler:
        """Draws gradients; its arguments are an estimator and `(params, batch)`."""
        return self.instrument.sampler

    @functools.cached_property
    def with_terms(self) -> "Point":
        """The point with the size of the terms that cancel in its gradients (`Truth.terms`).

        They are those of the score function without a baseline; unknown where that does not fit.
        """
        plain = ScoreFunction()
        if self.problem.refusal(plain, self.distribution) is not None:
            return self
        truths = tuple(
            dataclasses.replace(
                truth, terms=math.sqrt(blocks.variance.sum() + blocks.mean @ blocks.mean)
            )
            for truth, (blocks,) in zip(
                self.truths, self.draw_groups(plain, jax.random.key(0), _TERMS), strict=True
            )
        )
        return dataclasses.replace(self, truths=truths)

    @property
    def chosen(self) -> Params:
        """The parameters to differentiate with respect to."""
        return self.instrument.chosen(self.params)

    def ready(self, estimator: Estimator, key: jax.Array, limit: int) -> Tuned:
        """Return the estimator with its networks, its learned leaves tuned at this point.

        Args:
            estimator: the estimator.
            key: a typed random key, consumed; not the key of a measurement.
            limit: the maximum number of tuning steps, for learned estimators.
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
        """Draw gradient samples with respect to the only group, as `draw_groups`."""
        (blocks,) = self.draw_groups(
            estimator, key, num_samples, stacked=stacked, progress=progress
        )
        return blocks

    def draw_groups(
        self,
        estimator: Estimator,
        key: jax.Array,
        num_samples: int,
        *,
        stacked: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> list[list[Blocks]]:
        """Draw gradient samples of an estimator (of each member of a stack) at this point.

        Args:
            estimator: the estimator, or a stack.
            key: a typed random key, consumed.
            num_samples: the minimum number of gradients.
            stacked: whether it is a stack.
            progress: called with the fraction done.

        Returns:
            For each group, the blocks of each member.
        """
        with jax.default_matmul_precision(PRECISION):
            return self.sampler.draw_views(
                estimator,
                (self.params, self.batch),
                key,
                num_samples,
                self.centre,
                stacked=stacked,
                progress=progress,
            )

    def compile(self, members: Sequence[Estimator], num_samples: int) -> None:
        """Compile what `draw` and `timed` run; may run in a thread.

        Args:
            members: the estimator, or those of a stack.
            num_samples: the minimum number of gradients.
        """
        key, context = jax.random.key(0), (self.params, self.batch)
        ready = [one.initialise(key, self.distribution) for one in members]
        is_stack = len(ready) > 1
        with jax.default_matmul_precision(PRECISION):
            estimator = stack(ready) if is_stack else ready[0]
            self.sampler.compile(
                estimator, context, key, num_samples, self.centre, stacked=is_stack
            )
        self.instrument.timer.compile(ready[0], context, self.centre)

    def timed(self, estimator: Estimator) -> np.ndarray:
        """Return the seconds of a gradient in each of several rounds, on one device."""
        return self.instrument.timer.rounds(estimator, (self.params, self.batch), self.centre)

    def with_truth(
        self,
        key: jax.Array,
        num_samples: int,
        progress: Callable[[float], None] | None = None,
    ) -> "Point":
        """Return the point with the true gradient.

        The truth is exact if the latent variable can be enumerated; otherwise it is the mean of a
        long run of a low-variance unbiased estimator.

        Args:
            key: a typed random key for the long run, consumed; not the key of a measurement.
            num_samples: gradients of the long run; fewer if each is expensive.
            progress: called with the fraction done.
        """
        with jax.default_matmul_precision(PRECISION):
            centre = self.instrument.exact(self.params, self.batch)
        if centre is not None:
            return dataclasses.replace(self, centre=centre, truths=self.instrument.truths(centre))
        reference = reference_estimator(self.problem, self.distribution)
        zero = jax.tree.map(jnp.zeros_like, self.chosen)
        num_samples = _affordable(self, reference, key, num_samples)
        about_zero = dataclasses.replace(self, centre=zero)
        drawn = about_zero.draw_groups(reference, key, num_samples, progress=progress)
        blocks = [own for (own,) in drawn]
        # The samples are centred on exactly this value.
        means = map(_like, self.instrument.views(zero), [own.mean for own in blocks])
        centre = functools.reduce(joined, means)
        truths = self.instrument.truths(centre, blocks)
        return dataclasses.replace(self, centre=centre, truths=truths)


@dataclasses.dataclass(frozen=True)
class Start:
    """A problem before it is trained.

    Attributes:
        problem: the problem.
        data: its data.
        params: its initial parameters.
        keys: independent typed random keys, "train" and "truth".
        point: the problem at the initial parameters; the true gradient there is not known. What is
            compiled at this point serves the trained one.
    """

    problem: Problem
    data: Any
    params: Params
    keys: Mapping[str, jax.Array]
    point: Point

    def params_after(
        self,
        train_steps: int,
        report: Callable[[str], None] = lambda message: None,
        note: Callable[[str], None] = lambda message: None,
    ) -> Params:
        """Return the parameters after brief training, without noise where that is possible.

        Args:
            train_steps: Adam steps; the parameters of a problem that is not trainable stay.
            report: called with the name of the step.
            note: called with its progress.
        """
        problem = self.problem
        if not (problem.trainable and train_steps):
            return self.params
        reference = _trainer(problem, self.params, self.point.batch)
        report(f"training {problem} for {train_steps} steps with {reference}")
        params, _, _ = train(
            self.keys["train"],
            problem,
            self.params,
            reference,
            self.data,
            train_steps,
            _TRAINING_RATE,
            progress=lambda done: note(f"training, {done:.0%}"),
        )
        return params

    def trained(
        self,
        train_steps: int = 0,
        reference_samples: int = 8192,
        report: Callable[[str], None] = lambda message: None,
        note: Callable[[str], None] = lambda message: None,
    ) -> Point:
        """Train the problem briefly, and find the true gradient there.

        The arguments are those of `params_after` and of `at`.
        """
        params = self.params_after(train_steps, report, note)
        return self.at(params, reference_samples, report, note)

    def at(
        self,
        params: Params,
        reference_samples: int = 8192,
        report: Callable[[str], None] = lambda message: None,
        note: Callable[[str], None] = lambda message: None,
    ) -> Point:
        """Return the problem at trained parameters, with the true gradient there.

        Args:
            params: the result of `params_after`.
            reference_samples: gradients of a long run, if the truth is not exact; fewer if each is
                expensive.
            report: called with the name of the step.
            note: called with its progress.
        """
        report("finding the true gradient")
        return self.point.instrument.point(
            params,
            self.point.batch,
            self.keys["truth"],
            reference_samples,
            lambda done: note(f"finding the true gradient, {done:.0%}"),
        )


def begin(
    problem: Problem,
    key: jax.Array,
    *,
    group: str | Sequence[str] | None = None,
    devices: list | None = None,
    instrument: Instrument | None = None,
    params: Params | None = None,
    batch: Any = None,
    held: Collection[str] = (),
) -> Start:
    """Return a problem at parameters and a minibatch.

    Args:
        problem: the objective.
        key: a typed random key, consumed.
        group: the group of parameters to measure, or "all", or several; by default the problem's
            own.
        devices: devices to measure on; by default, all.
        instrument: an instrument of the same problem and groups to measure with; by default, a new
            one.
        params: the parameters; by default initial ones.
        batch: the minibatch; by default one is drawn.
        held: names of estimators' learned fields that are not tuned.

    Raises:
        UsageError: for an unknown group.
    """
    names = "initial", "train", "batch", "truth"
    keys: dict[str, jax.Array] = dict(zip(names, jax.random.split(key, 4), strict=True))
    data = problem.data()
    batch = problem.batch(keys["batch"], data) if batch is None else batch
    params = problem.initial(keys["initial"]) if params is None else params
    groups = check_groups(problem, problem.measured_params(params, batch), group)
    instrument = instrument or Instrument(problem, groups, devices, held)
    return Start(problem, data, params, keys, instrument.at(params, batch))


def prepare(
    problem: Problem,
    key: jax.Array,
    *,
    group: str | Sequence[str] | None = None,
    devices: list | None = None,
    train_steps: int = 0,
    reference_samples: int = 8192,
    report: Callable[[str], None] = lambda message: None,
    note: Callable[[str], None] = lambda message: None,
) -> Point:
    """Train a problem briefly and find the true gradient there.

    The arguments are those of `begin` and of `Start.trained`.
    """
    start = begin(problem, key, group=group, devices=devices)
    return start.trained(train_steps, reference_samples, report, note)


def check_groups(
    problem: Measurable, params: Params, group: str | Sequence[str] | None
) -> tuple[str, ...]:
    """Return the groups of parameters to measure, each once; by default the problem's.

    Args:
        problem: the problem.
        params: its parameters, those that exist only during measurement included.
        group: the name of a group, or several.

    Raises:
        UsageError: if the problem has no such group.
    """
    named = (group,) if isinstance(group, str) else group or (problem.group,)
    known = problem.groups(params)
    for name in named:
        if name not in known:
            near = nearest(name, known)
            raise UsageError(
                f"{problem} has no group {name!r}{near}; choose from {', '.join(known)}"
            )
    return tuple(dict.fromkeys(named))


def _like(tree: Any, vector: np.ndarray) -> Any:
    """Return a vector with the structure and type of a pytree."""
    own, unravel = ravel_pytree(tree)
    return unravel(jnp.asarray(vector, own.dtype))


def reference_estimator(problem: Measurable, distribution: Distribution) -> Estimator:
    """Return the estimator that trains a problem and computes its true gradient by a long run."""
    if isinstance(distribution, Continuous):
        return Pathwise()
    exact = Exact()
    return exact if problem.refusal(exact, distribution) is None else ScoreFunction(LeaveOneOut(4))


def _trainer(problem: Measurable, params: Params, batch: Any) -> Estimator:
    """Return the estimator that trains a problem: `Exact` only if no noise remains."""
    reference = reference_estimator(problem, problem.distribution(params, batch))
    noisy = isinstance(reference, Exact) and not _is_exact(problem, params, batch)
    return ScoreFunction(LeaveOneOut(2)) if noisy else reference


def _is_exact(problem: Measurable, params: Params, batch: Any) -> bool:
    return jax.eval_shape(problem.exact_loss, params, batch) is not None


def _affordable(point: Point, reference: Estimator, key: jax.Array, num_samples: int) -> int:
    """Return the number of gradients to draw, fewer than requested if each is expensive."""
    gradient = jax.jit(point.sampler.gradient)
    analysis = gradient.lower(reference, (point.params, point.batch), key).cost_analysis() or {}
    most = int(REFERENCE_OPERATIONS // max(analysis.get("flops", 1), 1))
    return min(num_samples, max(most, _LEAST_REFERENCE))
