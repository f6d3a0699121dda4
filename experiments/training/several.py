"""Training of several runs with one estimator."""

import operator
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from estimators import Estimator
from experiments.problems.problem import Params
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run

_PARTS = 10


def train_several(
    recipe: Recipe,
    runs: Sequence[Run],
    estimator: Estimator,
    steps: int,
    advance: Callable[[float], None],
) -> tuple[list[Params], np.ndarray]:
    """Train runs of one recipe, vmapped in one program.

    Args:
        recipe: settings of training.
        runs: the runs.
        estimator: the gradient estimator.
        steps: number of steps of each run.
        advance: called with the fraction done, always below 1.

    Returns:
        The parameters of each run, and the losses `[runs, steps]`.
    """
    params: list[Params] = []
    losses: list[np.ndarray] = []
    for step, found, some in along_training(recipe, runs, estimator, steps, _PARTS):
        params = found
        losses.append(some)
        if step:
            advance(step / steps * _PARTS / (_PARTS + 1))
    return params, np.concatenate(losses, 1)


def along_training(
    recipe: Recipe, runs: Sequence[Run], estimator: Estimator, steps: int, parts: int
) -> Iterator[tuple[int, list[Params], np.ndarray]]:
    """Train runs as `train_several`, stopping at evenly spaced steps.

    Args:
        recipe: settings of training.
        runs: the runs.
        estimator: the gradient estimator.
        steps: number of steps of each run.
        parts: number of parts; fewer if there are fewer steps.

    Yields:
        The step, from 0 to the last, the parameters of each run there, and the losses since the
        step before, `[runs, number of steps]`.
    """
    batch = Batch(recipe, runs, [estimator] * len(runs), recipe.problem.data())
    state, step, losses = batch.start(), 0, np.zeros((len(runs), 0))
    for stop in map(int, np.unique(np.linspace(0, steps, parts + 1).astype(int))):
        if stop > step:
            state, losses = batch.advance(state, stop - step)
        step, gathered = stop, batch.gather(state.params)
        params = [jax.tree.map(operator.itemgetter(run), gathered) for run in range(len(runs))]
        yield step, params, losses
