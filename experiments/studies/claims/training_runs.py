"""Training runs with shared seeds, for claim studies."""

import dataclasses
from typing import Generic, TypeVar

import jax
import numpy as np

from estimators import Estimator
from experiments.measurement.evaluation import Evaluator
from experiments.optimisers import Adam, Optimiser
from experiments.problems import EvaluatedProblem, Params, Problem
from experiments.studies.claims.claim import Scale
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

P = TypeVar("P", bound=Problem, covariant=True)

_TEST_IMAGES = 1000


@dataclasses.dataclass(frozen=True)
class TrainingRuns(Generic[P]):
    """Settings of training runs with shared seeds.

    Attributes:
        problem: the problem.
        steps: training steps.
        rate: the learning rate.
        seeds: the number of runs.
        optimiser: the model's optimiser.
        bound_samples: samples of the bound, evaluated on 1,000 test images.
    """

    problem: P
    steps: int
    rate: float
    seeds: int = 6
    optimiser: Optimiser = Adam()
    bound_samples: int = 100

    def run(self, scale: Scale, estimator: Estimator) -> tuple[list[Params], np.ndarray]:
        """Return the parameters of every run, and the losses `[seeds, steps]`."""
        scale.note(f"training {self.problem} with {estimator}")
        return train_several(
            Recipe(self.problem, self.optimiser),
            [Run(seed, self.rate) for seed in range(scale.seeds(self.seeds))],
            estimator,
            scale.steps(self.steps),
            scale.advance(f"training with {estimator}"),
        )

    def bounds(
        self: "TrainingRuns[EvaluatedProblem]", scale: Scale, estimator: Estimator
    ) -> np.ndarray:
        """Return the negative test bound of the discrete model by run, in nats."""
        params, _ = self.run(scale, estimator)
        examples = self.problem.examples(jax.random.key(1), self.problem.data("test"))
        images = np.asarray(examples)[: scale.samples(_TEST_IMAGES)]
        evaluate = Evaluator(self.problem, scale.steps(self.bound_samples))
        scale.note(f"evaluating {estimator}")
        found = [evaluate(one, jax.random.key(2), images)["negative_bound"] for one in params]
        return np.array([estimate.value for estimate in found])

    def exact_losses(self, scale: Scale, estimator: Estimator) -> np.ndarray:
        """Return the final exact loss by run, for a problem without data."""
        params, _ = self.run(scale, estimator)
        return np.array([self.problem.exact_loss(one, None) for one in params], float)
