"""Gradient samples of several estimators at one point, for claim studies."""

import jax

from estimators import Estimator
from experiments.measurement.point import Point, prepare
from experiments.problems import Problem
from experiments.statistics import Estimate, Truth
from experiments.statistics.blocks import Blocks
from experiments.studies.claims.claim import Found, Scale
from experiments.studies.claims.quantities import log_variance_ratio, relative_bias
from experiments.training.convergence import TUNING_STEPS


class Measurements:
    """A problem at fixed parameters, and gradient samples there, under common noise."""

    def __init__(
        self,
        scale: Scale,
        problem: Problem,
        num_samples: int,
        *,
        train_steps: int = 300,
        tuned: bool = True,
    ):
        """Train the problem briefly and compute its true gradient.

        Args:
            scale: the size of the run.
            problem: the problem.
            num_samples: number of gradients per estimator.
            train_steps: training steps, if the problem is trainable.
            tuned: whether learned estimators are tuned at the point until they converge.
        """
        keys = jax.random.split(jax.random.key(0), 3)
        self.scale, self.num_samples = scale, scale.samples(num_samples)
        scale.note(f"preparing {problem}")
        self.point: Point = prepare(
            problem,
            keys[0],
            train_steps=scale.steps(train_steps),
            # A sampled truth is used only for tuning: such studies compare variances.
            reference_samples=scale.samples(1024),
        )
        self._tuning, self._noise = keys[1], keys[2]
        self._tuning_steps = scale.steps(TUNING_STEPS) if tuned else 0
        self._drawn: dict[str, Blocks] = {}

    @property
    def truth(self) -> Truth:
        """The true gradient."""
        return self.point.truth

    def __call__(self, estimator: Estimator) -> Blocks:
        """Return the samples of an estimator, after tuning its learned parameters."""
        name = str(estimator)
        if name not in self._drawn:
            self.scale.note(f"measuring {name}")
            ready = self.point.ready(estimator, self._tuning, self._tuning_steps)
            if self._tuning_steps and ready.note:
                self.scale.caveat(f"{name}: {ready.note}")
            (self._drawn[name],) = self.point.draw(ready.estimator, self._noise, self.num_samples)
        return self._drawn[name]

    def bias(self, estimator: Estimator) -> Found:
        """Return the norm of an estimator's bias relative to that of the true gradient."""
        return relative_bias(self(estimator), self.truth)

    def ratio(self, first: Estimator, second: Estimator) -> Estimate:
        """Return the natural log of the ratio of two estimators' variances."""
        return log_variance_ratio(self(first), self(second))
