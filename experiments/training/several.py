"""Training of several runs with one estimator."""

import operator
from collections.abc import Callable, Sequence

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
    batch = Batch(recipe, runs, [estimator] * len(runs), recipe.problem.data())
    state, losses = batch.start(), []
    ends = np.unique(np.linspace(0, steps, _PARTS + 1).astype(int))
    for first, last in zip(ends, ends[1:], strict=False):
        state, some = batch.advance(state, int(last - first))
        losses.append(some)
        advance(last / steps * _PARTS / (_PARTS + 1))
    gathered = batch.gather(state.params)
    params = [jax.tree.map(operator.itemgetter(run), gathered) for run in range(len(runs))]
    return params, np.concatenate(losses, 1)
