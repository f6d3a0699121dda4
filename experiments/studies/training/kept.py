"""Trained parameters, from the checkpoints of training runs."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Estimator
from estimators.naming import describe
from experiments.problems import Params, Problem
from experiments.running.user_code import parse_problem
from experiments.studies.comparison.settings import Place
from experiments.system.errors import UsageError
from experiments.system.folder import Folder
from experiments.training import checkpoints, saved
from experiments.training.run import Run
from experiments.training.saved import refusing_damage


def about(
    configuration: Mapping[str, Any],
    environment: Mapping[str, str],
    members: Sequence[Estimator],
    runs: Sequence[Run],
) -> dict[str, Any]:
    """Return what the checkpoints of a batch say about it, as plain values.

    Args:
        configuration: the settings of its study.
        environment: everything else that determines its numbers.
        members: the estimator of each run.
        runs: the runs.
    """
    each = [
        {
            "estimator": str(one),
            "short_name": describe(one, positional=True),
            "learning_rate": float(run.rate),
            "seed": int(run.seed),
        }
        for one, run in zip(members, runs, strict=True)
    ]
    return {"configuration": configuration, "environment": environment, "runs": each}


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A training run with checkpoints, finished or not.

    Attributes:
        path: the results folder.
        batch: the folder of its batch's checkpoints.
        row: its row in the batch.
        identity: hash of all that determined its numbers.
        code: the version of the code that trained it.
        problem: the name of the problem.
        estimator: the name of the estimator that it was trained with.
        short_name: its shortest positional name.
        optimiser: the optimiser of the model, with its settings.
        learning_rate: the learning rate of the model.
        schedules: the schedules, as text.
        seed: its seed.
        steps: the steps of its checkpoints.
    """

    path: Path
    batch: Path
    row: int
    identity: str
    code: str
    problem: str
    estimator: str
    short_name: str
    optimiser: str
    learning_rate: float
    schedules: str
    seed: int
    steps: tuple[int, ...]

    @property
    def settings(self) -> dict[str, str | float]:
        """What runs of one name have in common, whose measurements are averaged over seeds."""
        found = {"optimiser": self.optimiser, "learning_rate": self.learning_rate}
        return found | ({"schedules": self.schedules} if self.schedules else {})

    def check(self, step: int) -> None:
        """Raise UsageError if there is no checkpoint of a step."""
        if step not in self.steps:
            raise UsageError(
                f"{self.path} has no checkpoint of step {step} of {self.estimator}; it has "
                f"{saved.listed(self.steps)} (estimax train --keep-steps keeps more)"
            )

    def params(self, step: int, problem: Problem) -> Params:
        """Return the parameters at a step.

        Raises:
            UsageError: if the checkpoint is damaged, or of another model.
        """
        shapes = jax.eval_shape(problem.initial, jax.random.key(0))
        params = self._fitted("params", step, shapes)
        leaves = jax.tree.leaves(params)
        if not all(bool(jnp.isfinite(leaf).all()) for leaf in leaves if _is_float(leaf)):
            raise UsageError(
                f"the parameters of {self.path}, {self.estimator}, seed {self.seed}, are not "
                f"finite at step {step}"
            )
        return params

    def place(self, step: int, problem: Problem, name: str) -> Place:
        """Return the parameters at a step, with what tells the run from others."""
        source = f"{self.path}, {self.estimator}, seed {self.seed}, step {step}, code {self.code}"
        params = self.params(step, problem)
        return Place(params, self.identity, name, step, self.seed, source, self.settings)

    def trained_estimator(self, step: int, problem: Problem, estimator: Estimator) -> Estimator:
        """Return an estimator of this run's structure with what it had learned at a step.

        Raises:
            UsageError: if the checkpoint is damaged, or of another estimator.
        """
        data = problem.data()

        def initialised(key: jax.Array) -> Estimator:
            params = problem.initial(key)
            batch = problem.batch(key, data)
            return estimator.initialise(key, problem.distribution(params, batch))

        shapes = jax.eval_shape(initialised, jax.random.key(0))
        return self._fitted("estimator", step, shapes)

    def _fitted(self, field: str, step: int, shapes: Any) -> Any:
        self.check(step)
        state = checkpoints.read(self.batch, step).state()[field]
        one = jax.tree.map(lambda leaf: np.asarray(leaf)[self.row], state)
        try:
            return saved.fitted(shapes, one)
        except ValueError as error:
            raise UsageError(f"{self.batch} does not fit: {error}") from error


def runs_of(path: Path) -> list[TrainedRun]:
    """Return the runs with checkpoints in the results folder of a training study.

    Raises:
        UsageError: if there are none, or a checkpoint is damaged.
    """
    if not path.is_dir():
        raise UsageError(f"no such folder: {path}")
    folder = Folder(path).checkpoints
    found: list[TrainedRun] = []
    with refusing_damage(path):
        for batch in sorted(folder.iterdir()) if folder.is_dir() else ():
            if steps := tuple(saved.steps(batch)):
                found += _runs(path, batch, steps)
    if not found:
        raise UsageError(
            f"{path} has no checkpoint of a training run (estimax train writes them); to measure "
            "at a pytree that orbax saved, name its problem"
        )
    return found


def _runs(path: Path, batch: Path, steps: tuple[int, ...]) -> list[TrainedRun]:
    one = checkpoints.read(batch, steps[-1])
    settings, environment = one.about["configuration"], one.about["environment"]
    return [
        TrainedRun(
            path,
            batch,
            row,
            one.identity,
            str(environment["code"]),
            str(settings["problem"]),
            str(run["estimator"]),
            str(run["short_name"]),
            str(settings["optimiser"]),
            float(run["learning_rate"]),
            ", ".join(map(str, settings["schedules"])),
            int(run["seed"]),
            steps,
        )
        for row, run in enumerate(one.about["runs"])
    ]


def chosen(
    found: Sequence[TrainedRun],
    trained_with: str | None = None,
    seed: int | None = None,
    seeds: int = 1,
) -> list[TrainedRun]:
    """Return some of the runs of a folder.

    Args:
        found: the runs of a folder.
        trained_with: the estimator that they were trained with; None for any.
        seed: the first seed; None for the first of each batch.
        seeds: the number of seeds.

    Raises:
        UsageError: if a seed or the estimator was not trained.
    """
    path, names = found[0].path, dict.fromkeys(run.estimator for run in found)
    if trained_with is not None and trained_with not in names:
        raise UsageError(f"{path} was not trained with {trained_with}, but {', '.join(names)}")
    some = [run for run in found if trained_with in (None, run.estimator)]
    first = some[0].seed if seed is None else seed
    wanted = range(first, first + seeds)
    known = {run.seed for run in some}
    if missing := [one for one in wanted if one not in known]:
        raise UsageError(
            f"{path} was not trained with seed {missing[0]}; choose from {saved.listed(known)}"
        )
    return [run for run in some if run.seed in wanted]


def problem_of(runs: Sequence[TrainedRun], given: Problem | None = None) -> Problem:
    """Return the problem of runs.

    Args:
        runs: the runs.
        given: the problem, necessary if its class is the user's.

    Raises:
        UsageError: if there are several, it is not the given one, or it is not known.
    """
    first = runs[0]
    for run in runs:
        if run.problem != first.problem:
            raise UsageError(
                f"{first.path} was trained on {first.problem}, and {run.path} on {run.problem}: "
                "measure them one at a time"
            )
    if given is None:
        try:
            return parse_problem(first.problem)
        except UsageError as error:
            raise UsageError(
                f"{first.path} was trained on {first.problem}; name it as FILE.py:{first.problem} "
                f"({error})"
            ) from error
    if str(given) != first.problem:
        raise UsageError(f"{first.path} was trained on {first.problem}, not on {given}")
    return given


def places(
    paths: Sequence[Path],
    problem: Problem | None = None,
    *,
    steps: Sequence[int] | None = None,
    trained_with: str | None = None,
    seed: int | None = None,
    seeds: int = 1,
) -> tuple[Problem, list[Place]]:
    """Return the problem of training runs, and their parameters.

    Args:
        paths: results folders of training studies, or folders of pytrees that orbax saved.
        problem: their problem; None for the one that the runs were trained on.
        steps: the steps; None for the last checkpoint of each run.
        trained_with: the estimator that they were trained with; None for any.
        seed: the first seed; None for the first of each run, and 0 for a pytree.
        seeds: the number of seeds.

    Raises:
        UsageError: for a missing or damaged checkpoint, or one of another problem.
    """
    trained = [path for path in paths if problem is None or Folder(path).checkpoints.is_dir()]
    runs = [run for path in trained for run in chosen(runs_of(path), trained_with, seed, seeds)]
    found = problem_of(runs, problem) if problem is None or runs else problem
    for run in runs:  # before any is read
        for step in steps or ():
            run.check(step)
    names = _told_apart(runs)
    at = [
        run.place(step, found, names[run])
        for run in runs
        for step in sorted(set(steps or run.steps[-1:]))
    ]
    for path in (path for path in paths if path not in trained):
        for step in sorted(set(steps)) if steps else [None]:
            own = range(seed or 0, (seed or 0) + seeds)
            at += _of_pytree(path, step, found, own, is_alone=len(paths) == 1)
    each = [tuple(place.columns.values()) for place in at]
    if len(set(each)) < len(each):
        raise UsageError("--at names the same parameters twice")
    return found, at


def _of_pytree(
    path: Path, step: int | None, problem: Problem, seeds: Sequence[int], is_alone: bool
) -> list[Place]:
    shapes = jax.eval_shape(problem.initial, jax.random.key(0))
    params, found = saved.restored(shapes, path, step)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        digest.update(np.asarray(leaf).tobytes())
    identity = digest.hexdigest()[:12]
    name = "" if is_alone else f"checkpoint {identity}"
    return [Place(params, identity, name, found, seed, f"{path}, step {found}") for seed in seeds]


def _told_apart(runs: Sequence[TrainedRun]) -> dict[TrainedRun, str]:
    """Return the estimator of each run, with what else tells it from others.

    Runs of one name differ in their seeds alone.
    """

    def shown(run: TrainedRun, names: Sequence[str]) -> str:
        facts = {
            "optimiser": run.optimiser,
            "rate": f"learning rate {run.learning_rate:g}",
            "schedules": run.schedules or "no schedules",
            "run": f"run {run.identity}",
        }
        return ", ".join([run.short_name, *(facts[name] for name in names)])

    shared = "optimiser", "rate"
    for names in ((), ("rate",), shared, (*shared, "schedules"), (*shared, "run")):
        found = {run: shown(run, names) for run in runs}
        recipes = {(text, *run.settings.items()) for run, text in found.items()}
        is_told = len({(text, run.seed) for run, text in found.items()}) == len(runs)
        if is_told and len(recipes) == len(set(found.values())):
            return found
    raise UsageError("--at names a training run twice")


def _is_float(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)
