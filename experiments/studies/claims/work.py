"""Measurements at one point, and training runs, for the studies that decide claims."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Categorical, Distribution, Estimator
from experiments.measurement.evaluation import Evaluator
from experiments.measurement.moments import Blocks
from experiments.measurement.point import Point, prepare
from experiments.problems import EvaluatedProblem, Params, Problem
from experiments.problems.toy import Toy
from experiments.statistics import Truth
from experiments.studies.claims.claim import Effort, Found, Quantity
from experiments.studies.claims.quantities import log_variance_ratio, relative_bias
from experiments.training.convergence import TUNING_STEPS
from experiments.training.optimisers import Adam, Optimiser
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

_TEST_IMAGES = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class Given(Toy):
    """A toy problem with a given f of Bernoulli or categorical variables, at given logits.

    Attributes:
        function: f, of one sample.
        at: the logits, `[D]` of bits or `[D, K]` of categorical variables.
    """

    function: Callable[[jax.Array], jax.Array]
    at: np.ndarray

    def __str__(self) -> str:
        """Return a description; f has no name."""
        return f"toy of logits {self.at.shape}"

    def logits(self) -> jax.Array:
        """Return the logits."""
        return jnp.asarray(self.at, jnp.float32)

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the variables."""
        del batch
        family = Bernoulli if np.ndim(self.at) == 1 else Categorical
        return family(params["logits"])

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the given function."""
        del logits
        return self.function(sample)


class Measured:
    """A problem at fixed parameters, and gradient samples there, under common noise."""

    def __init__(
        self,
        effort: Effort,
        problem: Problem,
        draws: int,
        *,
        train_steps: int = 300,
        tuned: bool = True,
    ):
        """Train the problem briefly and compute its true gradient.

        Args:
            effort: the budget.
            problem: the problem.
            draws: number of gradients of each estimator.
            train_steps: of the problem, if it is trainable.
            tuned: whether estimators that learn are tuned at the point until they converge.
        """
        keys = jax.random.split(jax.random.key(0), 3)
        self.effort, self.draws = effort, effort.draws(draws)
        effort.note(f"preparing {problem}")
        self.point: Point = prepare(
            problem,
            keys[0],
            train_steps=effort.steps(train_steps),
            # If the truth is not exact only variances are compared, but tuning uses it.
            reference_samples=effort.draws(1024),
        )
        self._tuning, self._noise = keys[1], keys[2]
        self._tuning_steps = effort.steps(TUNING_STEPS) if tuned else 0
        self._drawn: dict[str, Blocks] = {}

    @property
    def truth(self) -> Truth:
        """The true gradient."""
        return self.point.truth

    def __call__(self, estimator: Estimator) -> Blocks:
        """Return the samples of an estimator, after tuning what it learns."""
        name = str(estimator)
        if name not in self._drawn:
            self.effort.note(f"measuring {name}")
            ready = self.point.ready(estimator, self._tuning, self._tuning_steps)
            if self._tuning_steps and ready.note:
                self.effort.doubt(f"{name}: {ready.note}")
            (self._drawn[name],) = self.point.draw(ready.estimator, self._noise, self.draws)
        return self._drawn[name]

    def bias(self, estimator: Estimator) -> Found:
        """Return the norm of an estimator's bias over that of the true gradient."""
        return relative_bias(self(estimator), self.truth)

    def ratio(self, first: Estimator, second: Estimator) -> Quantity:
        """Return the natural log of the ratio of two estimators' variances."""
        return log_variance_ratio(self(first), self(second))


@dataclasses.dataclass(frozen=True)
class Training:
    """The settings of the training runs of a study, which share their seeds.

    Attributes:
        problem: the problem.
        steps: training steps.
        rate: the learning rate.
        seeds: the number of runs.
        optimiser: of the model.
        bound_samples: samples of the bound, evaluated on 1,000 test images.
    """

    problem: Problem
    steps: int
    rate: float
    seeds: int = 6
    optimiser: Optimiser = Adam()
    bound_samples: int = 100

    def run(
        self,
        effort: Effort,
        estimator: Estimator,
        problem: Problem | None = None,
    ) -> tuple[list[Params], np.ndarray]:
        """Return the parameters of every run, and the losses `[seeds, steps]`."""
        problem = problem or self.problem
        effort.note(f"training {problem} with {estimator}")
        return train_several(
            Recipe(problem, self.optimiser),
            [Run(seed, self.rate) for seed in range(effort.seeds(self.seeds))],
            estimator,
            effort.steps(self.steps),
            lambda done: effort.note(f"training with {estimator}, {done:.0%}"),
        )

    def evaluated(
        self,
        effort: Effort,
        estimator: Estimator,
        problem: Problem | None = None,
    ) -> np.ndarray:
        """Return the negative test bound of the discrete model by run, in nats."""
        problem = problem or self.problem
        params, _ = self.run(effort, estimator, problem)
        assert isinstance(problem, EvaluatedProblem)
        examples = problem.examples(jax.random.key(1), problem.data("test"))
        images = np.asarray(examples)[: effort.draws(_TEST_IMAGES)]
        evaluate = Evaluator(problem, effort.steps(self.bound_samples))
        effort.note(f"evaluating {estimator}")
        found = [evaluate(one, jax.random.key(2), images)["negative_bound"] for one in params]
        return np.array([estimate.value for estimate in found])

    def exact(self, effort: Effort, estimator: Estimator) -> np.ndarray:
        """Return the final exact loss by run, for a problem without data."""
        params, _ = self.run(effort, estimator)
        return np.array([self.problem.exact_loss(one, None) for one in params], float)

    def each(self, effort: Effort, estimators: Mapping[str, Estimator]) -> dict[str, np.ndarray]:
        """Return `evaluated` of several estimators, by name."""
        return {name: self.evaluated(effort, estimator) for name, estimator in estimators.items()}
