"""Models that a figure looks at once they are trained."""

import operator
from collections.abc import Callable

import jax

from estimators import Estimator
from experiments.problems import Params, Problem
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run

_PARTS = 10


def trained(
    problem: Problem,
    estimator: Estimator,
    rate: float,
    steps: int,
    seeds: int,
    advance: Callable[[float], None],
) -> list[Params]:
    """Train a problem by Adam from several seeds, mapped over in one program.

    Args:
        problem: the problem.
        estimator: what trains it.
        rate: Adam's.
        steps: of each run, a multiple of 10.
        seeds: the number of runs.
        advance: is told the fraction that is done, 1 excluded: there is more to do.

    Returns:
        The parameters of each.
    """
    runs = [Run(seed, rate) for seed in range(seeds)]
    batch = Batch(Recipe(problem), runs, [estimator] * seeds, problem.data())
    state = batch.start()
    for part in range(_PARTS):
        state, _ = batch.advance(state, steps // _PARTS)
        advance((part + 1) / (_PARTS + 1))
    params = batch.gather(state.params)
    return [jax.tree.map(operator.itemgetter(run), params) for run in range(seeds)]
