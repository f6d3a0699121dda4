"""Settings of a training study, and their checks."""

import dataclasses
import itertools
from collections.abc import Collection, Sequence
from typing import Any

import jax

from estimators import Estimator
from estimators.naming import describe
from experiments.data import Split
from experiments.measurement.moments import num_bytes
from experiments.measurement.point import check_groups
from experiments.optimisers import Adam, Optimiser
from experiments.problems import EvaluatedProblem, Problem
from experiments.running import limits
from experiments.running.user_code import modules_of, sources
from experiments.studies.comparison.settings import one_or_several
from experiments.studies.temperature.study import at_temperatures
from experiments.system.errors import UsageError
from experiments.training.convergence import TUNING_STEPS
from experiments.training.run import RATE, Recipe, Run
from experiments.training.schedules import Schedule

STUDY = "train"

_RUN_BYTES, _ROW_BYTES = 1000, 1000
"""Approximate memory of a run and of a row of the table in Python."""


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Settings of a training study; every field is part of the run's identity.

    Attributes:
        problem: the problem.
        estimators: the estimators; each is trained in one batch of runs.
        steps: the number of training steps.
        seeds: the number of seeds, starting at `seed`.
        seed: the first seed.
        learning_rates: the learning rates.
        temperatures: the temperatures of estimators that have one; empty to keep their own.
        optimiser: the optimiser of the model's parameters.
        schedules: schedules of the estimator's fields, or of `learning_rate` as a factor.
        tuning_rate: learning rate of the estimators' own leaves; None for the published rates.
        log_steps: steps between two rows of the loss; None for steps / 50.
        evaluations: the number of evaluations on held-out examples, evenly spaced, the last at the
            end.
        splits: the splits that are evaluated.
        bound_samples: samples of the evaluated bound.
        evaluation_examples: the maximum number of examples evaluated in a split; None for all.
        measured: estimators whose gradients are measured during the first run.
        measured_steps: the steps at which they are measured.
        group: the parameters of the measured gradient, or several groups of them, each measured
            with the same gradients; None for the problem's default.
        samples: the number of gradients per measured estimator and step.
        tuning_steps: the maximum number of tuning steps of learned estimators, at each point.
        budget: evaluations of f for the error at equal cost.
    """

    problem: Problem
    estimators: Sequence[Estimator]
    steps: int = 10_000
    seeds: int = 1
    seed: int = 0
    learning_rates: Sequence[float] = (1e-3,)
    temperatures: Sequence[float] = ()
    optimiser: Optimiser = Adam()
    schedules: tuple[tuple[str, Schedule], ...] = ()
    tuning_rate: float | None = None
    log_steps: int | None = None
    evaluations: int = 1
    splits: Sequence[Split] = ("validation", "test")
    bound_samples: int = 100
    evaluation_examples: int | None = None
    measured: Sequence[Estimator] = ()
    measured_steps: Sequence[int] = ()
    group: str | Sequence[str] | None = None
    samples: int = 1024
    tuning_steps: int = TUNING_STEPS
    budget: float = 100.0

    def __post_init__(self):
        """Write one group, given in a list, as alone."""
        object.__setattr__(self, "group", one_or_several(self.group))

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain |= {
            "problem": str(self.problem),
            "estimators": list(map(str, self.estimators)),
            "measured": list(map(str, self.measured)),
            "optimiser": str(self.optimiser),
            "schedules": [f"{name}={schedule}" for name, schedule in self.schedules],
        }
        plain = {name: list(x) if isinstance(x, tuple) else x for name, x in plain.items()}
        return {"study": STUDY, **plain, **sources(self.modules)}

    @property
    def modules(self) -> set[str]:
        """The names of the modules of the problem and the estimators."""
        return modules_of((self.problem, *self.estimators, *self.measured))

    @property
    def log_interval(self) -> int:
        """Steps between two rows of the loss."""
        return self.log_steps or max(self.steps // 50, 1)

    @property
    def stops(self) -> dict[str, set[int]]:
        """The steps at which the loss is logged, the model evaluated, and gradients measured."""
        log = self.log_interval
        ends = {round(self.steps * (i + 1) / self.evaluations) for i in range(self.evaluations)}
        return {
            "log": {*range(log, self.steps, log), self.steps},
            "evaluate": ends,
            "measure": set(self.measured_steps) if self.measured else set(),
        }

    def members(self, estimator: Estimator) -> list[Estimator]:
        """Return the variants of an estimator in its batch of runs: one for each temperature."""
        return at_temperatures(estimator, self.temperatures)

    def num_runs(self, estimator: Estimator) -> int:
        """Return the number of runs in an estimator's batch."""
        return len(self.members(estimator)) * len(self.learning_rates) * self.seeds

    def runs(self, estimator: Estimator) -> list[tuple[Estimator, Run]]:
        """Return the runs of an estimator's batch: all combinations, seeds varying fastest."""
        seeds = range(self.seed, self.seed + self.seeds)
        grid = itertools.product(self.members(estimator), self.learning_rates, seeds)
        return [(member, Run(seed, rate)) for member, rate, seed in grid]

    def run_names(self, estimator: Estimator) -> list[str]:
        """Return what distinguishes each run of an estimator's batch: `rate 0.01, seed 1`."""
        members, rates = self.members(estimator), self.learning_rates
        names = []
        for member, run in self.runs(estimator):
            parts = [describe(member, positional=True)] if len(members) > 1 else []
            parts += [f"rate {run.rate:g}"] if len(rates) > 1 else []
            parts += [f"seed {run.seed}"] if self.seeds > 1 else []
            names.append(", ".join(parts))
        return names

    @property
    def recipe(self) -> Recipe:
        """The recipe shared by all runs."""
        schedules = tuple((name, one.over(self.steps)) for name, one in self.schedules)
        return Recipe(self.problem, self.optimiser, schedules, tuning_rate=self.tuning_rate)


def checked(settings: TrainSettings, named: Collection[str]) -> TrainSettings:
    """Check settings before anything is computed or written; drop estimators that do not fit.

    Args:
        settings: the settings.
        named: the names of estimators that must fit; others that do not fit are left out.

    Raises:
        UsageError: for an estimator that does not fit or is named twice, a schedule of an unknown
            field, a batch larger than the data, or a measured step after the end of training.
    """
    problem, key = settings.problem, jax.random.key(settings.seed)
    data = problem.data()
    _check_batch(problem, data)
    limits.check_problem(problem, data)
    batch = problem.batch(key, data)
    params = problem.initial(key)
    check_groups(problem, problem.measured_params(params, batch), settings.group)
    distribution = problem.distribution(params, batch)
    _check_runs(settings, params)
    _check_evaluation(settings, params, data)
    at, measured = (params, batch), settings.samples * len(settings.measured_steps)

    def fits(estimator: Estimator, times: int, moves: bool) -> bool:
        reason = limits.refusal(problem, estimator, at, distribution, times, moves=moves)
        if reason and str(estimator) in named:
            instead = problem.instead(estimator, distribution)
            raise UsageError(f"{estimator} does not fit {problem}: {reason}{instead}")
        return not reason

    runs = [(one, settings.steps * settings.num_runs(one)) for one in settings.estimators]
    settings = dataclasses.replace(
        settings,
        estimators=[one for one, times in runs if fits(one, times, True)],
        measured=[one for one in settings.measured if fits(one, measured, False)],
    )
    if not settings.estimators:
        raise UsageError(f"no estimator fits {problem}")
    trained = [one for each in settings.estimators for one in settings.members(each)]
    for several, done in (trained, "trained"), (settings.measured, "measured"):
        names = list(map(str, several))
        if twice := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"{', '.join(sorted(twice))} would be {done} twice")
    for name, _ in settings.schedules:
        for estimator in settings.estimators:
            _check_scheduled(settings, name, estimator)
    if late := [step for step in settings.measured_steps if step > settings.steps]:
        raise UsageError(f"step {late[0]} cannot be measured: training ends at {settings.steps}")
    return settings


def _check_runs(settings: TrainSettings, params: Any) -> None:
    """Raise if the runs or rows would not fit into memory."""
    for estimator in settings.estimators:
        runs = settings.num_runs(estimator)
        # Parameters, gradients, two moments, and the description of the run.
        one = 4 * num_bytes(params) + _RUN_BYTES
        limits.check_memory(f"{runs:,} runs of {settings.problem}", runs * one)
        rows = settings.steps // settings.log_interval
        rows = runs * (rows + settings.evaluations)
        limits.check_memory(f"a table of {rows:,} rows", rows * _ROW_BYTES)


def _check_evaluation(settings: TrainSettings, params: Any, data: Any) -> None:
    """Raise if the evaluation would take too much time or memory."""
    problem, key = settings.problem, jax.random.key(0)
    if not isinstance(problem, EvaluatedProblem) or not (found := jax.tree.leaves(data)):
        return
    one = jax.tree.map(lambda leaf: leaf[:1], data)
    example = jax.tree.map(lambda leaf: leaf[0], problem.examples(key, one))
    count = min(settings.evaluation_examples or len(found[0]), len(found[0]))
    times = count * settings.bound_samples * settings.evaluations

    def weight(params, example, key):
        return problem.log_weight(params, key, example)

    if reason := limits.excess(weight, params, example, key, fixed=2, times=times):
        raise UsageError(f"evaluating {problem} {reason}; see --bound-samples")


def _check_batch(problem: Problem, data: Any) -> None:
    wanted, found = getattr(problem, "batch_size", 0), jax.tree.leaves(data)
    least = min((len(leaf) for leaf in found), default=0)
    if found and wanted > max(len(leaf) for leaf in found):
        raise UsageError(
            f"{problem}: a batch of {wanted} is larger than the data, {least} examples"
        )


def _check_scheduled(settings: TrainSettings, name: str, estimator: Estimator) -> None:
    if name == RATE:
        return
    numbers = [k for k, v in estimator.hyperparameters().items() if isinstance(v, jax.Array)]
    if name not in numbers:
        known = ", ".join([*numbers, RATE])
        raise UsageError(f"{estimator} has no {name} to schedule; choose from {known}")
    if name == "temperature" and settings.temperatures:
        raise UsageError("--temperatures and a schedule of the temperature cannot be combined")
