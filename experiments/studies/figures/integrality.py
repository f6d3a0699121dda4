"""The losses of relaxed and discrete graph by temperature (Maddison et al. 2017, figure 4)."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from estimators import Estimator, GumbelSoftmax, ScoreFunction
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import Params, StructuredPrediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

_TEMPERATURES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_RATE = 1e-3
_AT_ONCE = 200
"""Images in a batch of the evaluation."""

RELAXED, DISCRETE = "continuous", "discrete"
"""The graphs' names in the rows."""


def study(scale: str) -> Figure:
    """Return the study of a network of bits trained at each temperature, without annealing.

    The network 392-240-240-240-392, the minibatches of 64 and the objective of one sample are the
    paper's. The learning rate is higher, for 2,000 steps instead of ten million, without weight
    decay.
    """
    smoke = scale == "smoke"
    size, steps, seeds, images = (8, 20, 2, 40) if smoke else (240, 2000, 4, 10_000)
    temperatures = _TEMPERATURES[1::3] if smoke else _TEMPERATURES
    problem = StructuredPrediction(size=size, depth=3, binarisation="fixed", batch_size=64)
    return figure_study(
        "integrality-gap",
        "Negative log-likelihood of the relaxed and the discrete graph (Maddison et al. 2017)",
        "integrality",
        {
            "problem": str(problem),
            "steps": steps,
            "seeds": seeds,
            "images": images,
            "rate": _RATE,
        },
        {
            f"temperature {t:g}": functools.partial(_rows, problem, t, steps, seeds, images)
            for t in temperatures
        },
    )


def _rows(
    problem: StructuredPrediction, temperature: float, steps: int, seeds: int, images: int, advance
) -> list[Row]:
    """Train several seeds at a temperature; return the losses of both graphs on test images."""
    examples = problem.examples(jax.random.key(0), problem.data("test")[:images])
    keys = jax.random.split(jax.random.key(1), -(-len(examples) // _AT_ONCE))
    shared = {"problem": str(problem), "data": problem.about_data, "steps": steps}
    found = graph_losses(problem, temperature, steps, seeds, examples, keys, advance)
    return [shared | row for row in found]


def graph_losses(
    problem: StructuredPrediction,
    temperature: float,
    steps: int,
    seeds: int,
    examples: Any,
    keys: jax.Array,
    advance: Callable[[float], None],
) -> list[Row]:
    """Train networks by Gumbel-softmax; return the losses of the relaxed and the discrete graph.

    Args:
        problem: the network.
        temperature: temperature of the relaxation.
        steps: number of steps of each run.
        seeds: the number of runs.
        examples: the images on which the graphs are evaluated.
        keys: a typed random key for each batch of the images.
        advance: reports progress.
    """
    relaxed = GumbelSoftmax(temperature)
    runs = [Run(seed, _RATE) for seed in range(seeds)]
    models, _ = train_several(Recipe(problem), runs, relaxed, steps, advance)
    # Any unbiased estimator evaluates f at hard samples: the discrete graph.
    graphs: dict[str, Estimator] = {RELAXED: relaxed, DISCRETE: ScoreFunction()}
    shared = {"temperature": temperature, "metric": "negative_log_likelihood"}
    shared |= estimator_columns(relaxed)
    return [
        shared
        | {"graph": name, "seed": seed, "value": mean_loss(problem, model, graph, examples, keys)}
        for name, graph in graphs.items()
        for seed, model in enumerate(models)
    ]


def mean_loss(
    problem: StructuredPrediction, params: Params, graph: Estimator, examples: Any, keys: jax.Array
) -> float:
    """Return -log p(lower half | z) in nats, the mean over images of one path z each.

    The images are split into as many batches as there are keys.
    """
    parts = np.array_split(np.asarray(examples), len(keys))
    losses = [
        float(_loss(problem, params, graph, key, part)) * len(part)
        for key, part in zip(keys, parts, strict=True)
    ]
    return sum(losses) / len(examples)


@functools.partial(jax.jit, static_argnums=0)
def _loss(problem: StructuredPrediction, params, graph: Estimator, key: jax.Array, images):
    return problem.loss(params, graph, key, images)
