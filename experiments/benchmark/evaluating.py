"""The speed of evaluating a many-sample bound, compared with its matrix products alone."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.rounds import in_turn, ratios, summarise
from experiments.measurement.evaluation import Evaluator
from experiments.problems import EvaluatedProblem, Params

_ROWS = 2048


def measure(
    problem: EvaluatedProblem,
    params: Params,
    num_samples: int,
    num_images: int,
    num_rounds: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Time the evaluation of a linear VAE, and its decoder's matrix products alone.

    Args:
        problem: the problem.
        params: its parameters.
        num_samples: samples of the bound.
        num_images: images evaluated in a round.
        num_rounds: rounds, alternating between both.
        report: called with progress messages.

    Returns:
        Plain values: `problem`, `samples`, the summaries of `images` per second, of the `floor`
        (images per second if only the products were computed) and of the `ratio` of
        the first to the second.
    """
    report(f"compiling the bound of {num_samples:,} samples")
    evaluator = Evaluator(problem, num_samples)
    examples = np.asarray(problem.examples(jax.random.key(0), problem.data("test")[:num_images]))
    kernel = params["decoder"][0]["layers"][0]["kernel"]
    multiply = jax.jit(lambda samples, kernel: samples @ kernel)
    samples = jnp.ones((_ROWS, len(kernel)))

    def evaluate(_: jax.Array) -> float:
        start = time.perf_counter()
        evaluator(params, jax.random.key(1), examples)
        return num_images / (time.perf_counter() - start)

    def floor(_: jax.Array) -> float:
        calls = max(num_images * num_samples // _ROWS // 8, 1)
        start = time.perf_counter()
        jax.block_until_ready([multiply(samples, kernel) for _ in range(calls)][-1])
        return calls * _ROWS / num_samples / (time.perf_counter() - start)

    for compiling in (evaluate, floor):
        compiling(jax.random.key(0))
    tasks = {"images": evaluate, "floor": floor}
    images, floors = in_turn(tasks, num_rounds, "the bound", report).values()
    return {
        "problem": str(problem),
        "samples": num_samples,
        "images": summarise(images),
        "floor": summarise(floors),
        "ratio": summarise(ratios(images, floors, more_is_better=True)),
    }
