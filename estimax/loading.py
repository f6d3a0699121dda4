"""What a training run has learned."""

import dataclasses
from pathlib import Path

from estimators import Estimator
from estimax.arguments import Folder, estimator_name, problem_of
from experiments.problems import Params, Problem
from experiments.running.user_code import parse_estimator
from experiments.studies.training import kept
from experiments.system import device
from experiments.system.errors import UsageError


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A training run at a step.

    Attributes:
        problem: the problem.
        params: its parameters, by group.
        estimator: the estimator that it was trained with, with what that has learned.
        step: the training step.
        seed: the seed of the run.
    """

    problem: Problem
    params: Params
    estimator: Estimator
    step: int
    seed: int


def load(
    run: Folder,
    step: int | None = None,
    seed: int | None = None,
    *,
    trained_with: str | Estimator | None = None,
    learning_rate: float | None = None,
    problem: str | Problem | None = None,
) -> Trained:
    """Return what a training run had learned at a step.

    Args:
        run: the results folder of a training study; the run need not be finished.
        step: the step, one that `keep_steps` names; by default the last one with a checkpoint.
        seed: the seed; by default the first.
        trained_with: the estimator that it was trained with, if there are several, or if its class
            is your own: then the estimator, not its name.
        learning_rate: its learning rate, if there are several.
        problem: the problem, if its class is your own.

    Raises:
        UsageError: if there is no such run or checkpoint, there are several, or it is damaged.
    """
    device.start("auto")  # first, since building an estimator starts JAX
    path = Path(run)
    some = kept.chosen(kept.runs_of(path), estimator_name(trained_with), seed)
    rates = dict.fromkeys(one.learning_rate for one in some)
    if learning_rate is not None:
        some = [one for one in some if one.learning_rate == learning_rate]
        if not some:
            known = ", ".join(f"{rate:g}" for rate in rates)
            raise UsageError(f"{path} has no learning rate {learning_rate:g}, but {known}")
    if len(some) > 1:
        names = "; ".join(f"{one.estimator}, {one.learning_rate:g}" for one in some)
        raise UsageError(
            f"{path} has several runs: choose trained_with and learning_rate ({names})"
        )
    (one,) = some
    found = kept.problem_of([one], None if problem is None else problem_of(problem))
    at = one.steps[-1] if step is None else step
    params = one.params(at, found)
    estimator = trained_with if isinstance(trained_with, Estimator) else _estimator(one)
    return Trained(found, params, one.trained_estimator(at, found, estimator), at, one.seed)


def _estimator(run: kept.TrainedRun) -> Estimator:
    try:
        return parse_estimator(run.estimator)
    except UsageError as error:
        raise UsageError(
            f"{run.path} was trained with {run.estimator}: pass that estimator as trained_with "
            f"({error})"
        ) from error
