"""Settings of a comparison at one point of a problem, and their checks."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax

from estimators import Estimator
from experiments.measurement.keys import named_keys
from experiments.measurement.point import (
    REFERENCE_SHARE,
    Instrument,
    Point,
    Start,
    begin,
    check_groups,
    reference_estimator,
)
from experiments.measurement.rows import Row
from experiments.problems import Params, Problem
from experiments.running import limits
from experiments.running.memory import Memory
from experiments.running.progress import Progress
from experiments.running.user_code import modules_of, sources
from experiments.studies.comparison.precision import MOST_SAMPLES
from experiments.system.errors import UsageError
from experiments.training import is_tuned
from experiments.training.convergence import TUNING_STEPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """Settings of the measurement of estimators at a point.

    Attributes:
        samples: the number of gradients per estimator.
        tuning_steps: the maximum number of tuning steps of learned estimators, at that point.
        budget: evaluations of f for the error at equal cost.
        precision: the relative precision of variance and error at equal cost for which more
            samples are drawn; None for `samples`.
        most_samples: the most samples that the precision may take.
        coordinates: whether the moments of every coordinate are kept.
        held: names of estimators' learned fields that are not tuned.
    """

    samples: int = 1024
    tuning_steps: int = TUNING_STEPS
    budget: float = 100.0
    precision: float | None = None
    most_samples: int = MOST_SAMPLES
    coordinates: bool = False
    held: Sequence[str] = ()

    def gradients(self, estimator: Estimator) -> int:
        """Return the number of gradients computed of an estimator."""
        return self.samples + (self.tuning_steps if is_tuned(estimator) else 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """Parameters at which gradients are measured.

    Attributes:
        params: the parameters.
        identity: hash of all that determined them, such as that of their training run.
        trained_with: what tells their training run from others: its estimator.
        step: the training step.
        seed: the seed of that run, and of the measurement.
        source: where they were read, for the provenance.
        settings: what of that run, besides its seed, is not in the name of its estimator.
    """

    params: Params
    identity: str
    trained_with: str
    step: int
    seed: int
    source: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def columns(self) -> Row:
        """The columns of rows measured here."""
        return {"trained_with": self.trained_with, "step": self.step, "seed": self.seed}


@dataclasses.dataclass(frozen=True)
class CompareSettings(MeasureSettings):
    """Settings of a comparison; every field is part of the run's identity.

    Attributes:
        problem: the problem.
        estimators: the estimators.
        group: the parameters to differentiate with respect to, or several groups of them, each
            measured with the same gradients; None for the problem's default.
        seed: the first random seed.
        seeds: the number of seeds; each trains the problem to a point of its own.
        train_steps: Adam steps before measuring, if the problem is trainable.
        at: the parameters at which gradients are measured, each with its own seed; empty to train
            the problem.
    """

    problem: Problem
    estimators: Sequence[Estimator]
    group: str | Sequence[str] | None = None
    seed: int = 0
    seeds: int = 1
    train_steps: int = 300
    at: Sequence[Place] = ()

    def __post_init__(self):
        """Write one group, given in a list, as alone."""
        object.__setattr__(self, "group", one_or_several(self.group))

    def configuration(self, study: str) -> dict[str, Any]:
        """Return the settings as plain values."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        names = [str(estimator) for estimator in self.estimators]
        plain |= {"problem": str(self.problem), "estimators": names}
        if isinstance(self.group, tuple):
            plain["group"] = list(self.group)
        plain["at"] = [
            {"run": place.identity, **place.columns, **place.settings} for place in self.at
        ]
        plain["held"] = list(self.held)
        for name in ("coordinates", "held"):
            if not plain[name]:
                del plain[name]
        return {"study": study, **plain, **sources(self.modules)}

    def each_point(self) -> "list[CompareSettings]":
        """Return the settings of each point alone."""
        if self.at:
            return [dataclasses.replace(self, at=[one], seed=one.seed) for one in self.at]
        seeds = range(self.seed, self.seed + self.seeds)
        return [dataclasses.replace(self, seed=seed, seeds=1) for seed in seeds]

    @property
    def modules(self) -> set[str]:
        """The names of the modules of the problem and the estimators."""
        return modules_of((self.problem, *self.estimators))

    def columns(self, study: str) -> Row:
        """Return the columns that every row of a point shares, but the group."""
        return {
            "study": study,
            "problem": str(self.problem),
            "objective": self.problem.objective,
            **self.place,
        }

    @property
    def place(self) -> Row:
        """The columns that tell a point from others."""
        steps = self.train_steps if self.problem.trainable else 0
        return self.at[0].columns if self.at else {"seed": self.seed, "step": steps}

    def keys(self) -> dict[str, jax.Array]:
        """Return independent keys for the point, for tuning and for measuring."""
        return named_keys(self.seed, "point", "tune", "measure")

    def begin(self, instrument: Instrument | None = None) -> Start:
        """Return the problem before it is trained, or at given parameters.

        Args:
            instrument: that of another point, whose compiled programs are used again.
        """
        key, more = self.keys()["point"], {}
        if self.at:
            # The minibatch on which the run with this seed itself measures gradients.
            own = named_keys(self.seed, "batch")["batch"]
            batch = self.problem.batch(own, self.problem.data())
            more = {"params": self.at[0].params, "batch": batch}
        return begin(
            self.problem, key, group=self.group, instrument=instrument, held=self.held, **more
        )

    def trained(self, start: Start, progress: Progress, memory: Memory) -> Point:
        """Return the point at which estimators are measured.

        Args:
            start: the result of `begin`.
            progress: reports progress.
            memory: keeps the trained parameters.
        """
        params = start.params
        if self.problem.trainable and self.train_steps and not self.at:
            params, _ = memory.kept(
                {"function": "train", "problem": str(self.problem), "steps": self.train_steps},
                (start.keys["train"], params, start.point.batch),
                params,
                lambda: (start.params_after(self.train_steps, progress.say, progress.note), ""),
            )
        samples = REFERENCE_SHARE * self.samples
        return start.at(params, samples, progress.say, progress.note)


def one_or_several(group: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    """Return the name of a group, or of several groups as a tuple; None for none."""
    if group is None or isinstance(group, str):
        return group
    names = tuple(dict.fromkeys(group))
    return names[0] if len(names) == 1 else names or None


def check(settings: CompareSettings, named: Collection[str]) -> None:
    """Check that a comparison can run, before anything is computed or written.

    Args:
        settings: the settings.
        named: the names of estimators that must fit; others may be skipped, but not all.

    Raises:
        UsageError: for an unknown group, a named estimator that does not fit, or if none fits.
        Exception: the first error of an estimator, if all that fit raise one when traced.
    """
    problem, key = settings.problem, jax.random.key(settings.seed)
    data = problem.data()
    limits.check_problem(problem, data)
    batch = problem.batch(key, data)
    params = problem.measured_params(problem.initial(key), batch)
    check_groups(problem, params, settings.group)
    distribution = problem.distribution(params, batch)
    steps = settings.train_steps if problem.trainable and not settings.at else 0
    # It trains the problem, and estimates the true gradient unless that is exact.
    reference = reference_estimator(problem, distribution)
    if known := limits.refusal(
        problem, reference, (params, batch), distribution, steps, moves=True
    ):
        raise UsageError(f"{problem} cannot be measured: {reference} {known}")
    fits, refused, error = False, "", None
    for estimator in settings.estimators:
        must = str(estimator) in named
        if fits and not must:  # tracing all of them takes several seconds
            continue
        times = settings.gradients(estimator)
        try:
            reason = limits.refusal(problem, estimator, (params, batch), distribution, times)
        except (Exception, SystemExit) as raised:  # the study says so, and measures the others
            error = error or raised
            continue
        if must and reason:
            instead = problem.instead(estimator, distribution)
            raise UsageError(f"{estimator} does not fit {problem}: {reason}{instead}")
        fits, refused = fits or not reason, f"{estimator} {reason}"
    if not fits:
        if error is not None:
            raise error
        raise UsageError(f"no estimator fits {problem}; {refused}")


def varied(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that tell apart the points of a study with this configuration."""
    if at := configuration.get("at"):
        return tuple(name for name in _NAMED if len({place[name] for place in at}) > 1)
    return ("seed",) if configuration.get("seeds", 1) > 1 else ()


def name_of(name: str, row: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the name of an estimator with the columns in which the points of a study differ."""
    return ", ".join([name, *(f"{_NAMED[each]} {row[each]}" for each in names)])


_NAMED = {"trained_with": "trained with", "step": "step", "seed": "seed"}
