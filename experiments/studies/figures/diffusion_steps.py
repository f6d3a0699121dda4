"""Bias and variance of the diffusion relaxation by its steps, beside Gumbel-softmax's temperature.

The number of steps plays the part of a temperature: few are quiet and biased, many are neither.
"""

import functools
from collections.abc import Sequence

import jax

from estimators import (
    DiffusionRelaxation,
    Estimator,
    GumbelSoftmax,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.measurement.point import Instrument
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems.toy import FourValues
from experiments.studies.figures.measured import error_rows
from experiments.studies.figures.study import Figure, figure_study
from experiments.studies.temperature.study import TEMPERATURES

_STEPS = (1, 2, 3, 4, 5, 7, 10, 14)


def study(scale: str) -> Figure:
    """Return the study of both relaxations, soft and straight-through."""
    smoke = scale == "smoke"
    num_samples = 1024 if smoke else 1 << 20
    steps = _STEPS[1::4] if smoke else _STEPS
    temperatures = TEMPERATURES[::6] if smoke else TEMPERATURES
    members: dict[str, Sequence[Estimator]] = {
        "diffusion": [DiffusionRelaxation(n) for n in steps],
        "diffusion, cosine": [DiffusionRelaxation(n, "cosine") for n in steps],
        "diffusion, straight-through": [
            DiffusionRelaxation(n, straight_through=True) for n in steps
        ],
        "Gumbel-softmax": [GumbelSoftmax(t) for t in temperatures],
        "straight-through Gumbel-softmax": [StraightThroughGumbelSoftmax(t) for t in temperatures],
        "straight-through": [StraightThrough()],
    }
    return figure_study(
        "diffusion-steps",
        "Bias and variance by steps of diffusion, and by temperature of Gumbel-softmax",
        "diffusion_steps",
        {"draws": num_samples, "steps": list(steps), "temperatures": list(temperatures)},
        {name: functools.partial(_rows, name, own, num_samples) for name, own in members.items()},
    )


def _rows(name: str, members: Sequence[Estimator], num_samples: int, advance) -> list[Row]:
    problem = FourValues(variables=2, spread=1.0)
    instrument = Instrument(problem, "logits")
    point = instrument.point(problem.initial(jax.random.key(0)), None, jax.random.key(1))
    rows: list[Row] = []
    for number, member in enumerate(members):
        shared = {"problem": str(problem), "name": name} | estimator_columns(member)
        rows += [shared | row for row in error_rows(point, member, jax.random.key(2), num_samples)]
        advance((number + 1) / len(members))
    return rows
