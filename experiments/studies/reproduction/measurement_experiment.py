"""Experiments that measure an estimator at one point of a problem with a known answer."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Estimator, frozen
from experiments.measurement.rows import Row
from experiments.problems import Problem
from experiments.statistics import sample_mean
from experiments.studies.reproduction.table import Batch, CellRun, Experiment, Scale

_CHUNKS = 16


@dataclasses.dataclass(frozen=True)
class MeasurementExperiment(Experiment):
    """The value, the gradient and its variance of an estimator at a problem's own parameters.

    Attributes:
        problem: a problem without data.
        estimator: the estimator.
    """

    problem: Problem
    estimator: Estimator

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {"problem": str(self.problem), "estimator": str(self.estimator)}

    def batches(self, scale: Scale) -> list[Batch]:
        """Return no batches."""
        return []

    def run(self, run: CellRun) -> list[Row]:
        """Draw gradients, and return the estimates as rows.

        `gradient` is the mean of the first parameter's gradient; `variance` is summed over all
        parameters.
        """
        key, noise = jax.random.split(jax.random.key(run.seed))
        params = self.problem.initial(key)
        distribution = self.problem.distribution(params, None)
        estimator = self.estimator.initialise(key, distribution)

        @jax.jit
        def draw(keys):
            def one(key):
                with frozen():
                    return jax.value_and_grad(self.problem.loss)(params, estimator, key, None)

            values, gradients = jax.vmap(one)(keys)
            flat = [leaf.reshape(len(keys), -1) for leaf in jax.tree.leaves(gradients)]
            return values, jnp.concatenate(flat, 1)

        parts = []
        for number, part in enumerate(jax.random.split(noise, _CHUNKS)):
            parts.append(draw(jax.random.split(part, max(run.scale.draws // _CHUNKS, 1))))
            run.advance((number + 1) / _CHUNKS)
        values, gradients = (np.concatenate(x).astype(np.float64) for x in zip(*parts, strict=True))
        squares = ((gradients - gradients.mean(0)) ** 2).sum(1)
        found = {
            "value": sample_mean(values),
            "gradient": sample_mean(gradients[:, 0]),
            "variance": sample_mean(squares * len(values) / (len(values) - 1)),
        }
        shared = {
            "stage": "final",
            "problem": str(self.problem),
            "estimator": str(self.estimator),
            "seed": run.seed,
            "split": "",
            "step": 0,
            "samples": len(values),
        }
        return [
            shared | {"metric": metric} | estimate.interval() for metric, estimate in found.items()
        ]
