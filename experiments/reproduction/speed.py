"""Cells that are a ratio of speeds."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from estimators import Estimator
from experiments.intervals import sample_mean
from experiments.measurement import Row
from experiments.problems import Problem
from experiments.reproduction.table import Experiment, Order
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run

_ROUNDS = 7


@dataclasses.dataclass(frozen=True)
class Speed(Experiment):
    """Training steps per second with one estimator, over those with another.

    Attributes:
        problem: the problem.
        estimator: the one whose speed is above the line.
        other: the one below it.
    """

    problem: Problem
    estimator: Estimator
    other: Estimator

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {"problem": str(self.problem), "estimators": [str(self.estimator), str(self.other)]}

    def run(self, order: Order) -> list[Row]:
        """Time rounds of both in turn; the interval is over the rounds' ratios."""
        made = []
        for estimator in (self.estimator, self.other):
            order.progress.note(f"compiling {estimator}")
            made.append(rounds(self.problem, estimator, order.seed, order.budget.steps))
        seconds = []
        for number in range(_ROUNDS):
            seconds.append([one_round() for one_round in made])
            order.advance((number + 1) / _ROUNDS)
        upper, lower = order.budget.steps / np.array(seconds).T
        shared = {"stage": "final", "problem": str(self.problem), "seed": order.seed, "split": ""}
        shared |= {"step": 0, "samples": _ROUNDS}
        found = {
            "speed_ratio": (f"{self.estimator} over {self.other}", upper / lower),
            "steps_per_second": (str(self.estimator), upper),
            "steps_per_second_other": (str(self.other), lower),
        }
        return [
            shared
            | {"metric": metric, "estimator": name}
            | dataclasses.asdict(sample_mean(np.asarray(values, np.float64)))
            for metric, (name, values) in found.items()
        ]


def rounds(
    problem: Problem, estimator: Estimator, seed: int, num_steps: int
) -> Callable[[], float]:
    """Return what trains on for some steps, on one device, and returns the seconds they took."""
    batch = Batch(
        Recipe(problem), [Run(seed, 1e-3)], [estimator], problem.data(), jax.devices()[:1]
    )
    state, _ = batch.advance(batch.start(), num_steps)

    def one_round() -> float:
        nonlocal state
        start = time.perf_counter()
        state, _ = batch.advance(state, num_steps)
        return time.perf_counter() - start

    return one_round
