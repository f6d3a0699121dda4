"""The whole benchmark: comparison with PyTorch, batches of runs, evaluation, estimators' costs."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import numpy as np

import estimators as library
from estimators import (
    REBAR,
    DisARM,
    Estimator,
    GumbelSoftmax,
    LeaveOneOut,
    ScoreFunction,
    StraightThrough,
)
from experiments.benchmark import batches, cost, evaluating, torch_process, workload
from experiments.benchmark.machine import load, machine
from experiments.benchmark.process import Ended, Process
from experiments.benchmark.side_by_side import SideBySide
from experiments.benchmark.workload import Round, Workload
from experiments.problems import VAE, Quadratic
from experiments.system.device import num_cores
from experiments.system.errors import UsageError

DEFAULT = (
    ScoreFunction(),
    ScoreFunction(LeaveOneOut(2)),
    StraightThrough(),
    GumbelSoftmax(0.5),
    DisARM(),
    REBAR(0.5),
)
"""The estimators with a counterpart in PyTorch."""

LARGE = VAE(size=200, kl="sampled-no-score")
SMALL = VAE()
TOY = Quadratic(target=0.499)

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Scale:
    """The size of a benchmark.

    Attributes:
        rounds: rounds of every kind of work.
        gradients: gradient samples of the large VAE.
        steps: training steps.
        bits: gradients of the toy.
        cost_rounds: rounds of the estimators' costs.
        cost_gradients: gradient samples of the small VAE.
        batch_steps: training steps of every run of a batch.
        bound_samples: samples of the evaluated bound.
        images: images that are evaluated.
    """

    rounds: int = 7
    gradients: int = 1000
    steps: int = 250
    bits: int = 2**24
    cost_rounds: int = 5
    cost_gradients: int = 1024
    batch_steps: int = 100
    bound_samples: int = 5000
    images: int = 256


QUICK = Scale(
    rounds=2,
    gradients=32,
    steps=5,
    bits=2**16,
    cost_rounds=2,
    cost_gradients=32,
    batch_steps=3,
    bound_samples=10,
    images=32,
)
"""A smoke test."""


def run(
    estimators: Sequence[Estimator] | None,
    named: Collection[str] | None,
    quick: bool,
    report: Report,
) -> dict[str, Any]:
    """Time estimators, and PyTorch for comparison if it is installed.

    Args:
        estimators: the estimators; None for those with a counterpart in PyTorch and, unless
            `quick`, the costs of all.
        named: the names of those that must fit; others that do not fit are skipped. None for all.
        quick: whether to draw few samples, and not to wait for PyTorch's compiler.
        report: called with progress messages.

    Returns:
        Plain values: `machine`, `quick`, `torch` (`version`, `threads`, `device`, `failed`; or
        `missing`, with the reason), `gradients`, `steps` and `toy` (see `SideBySide.run`),
        `batches`, `evaluation` and `cost` (see the `measure` of each), and `seconds`, the total
        time.

    Raises:
        UsageError: for an estimator that does not fit the problems, or if PyTorch's process ends
            early.
    """
    start, load_before = time.perf_counter(), load()
    scale = QUICK if quick else Scale()
    chosen = DEFAULT if estimators is None else tuple(estimators)
    vae, toy = workload.prepare(LARGE), workload.prepare(TOY)
    for work, times in ((vae, scale.gradients), (toy, scale.bits)):
        chosen = tuple(one for one in chosen if _fits(work, one, times, named))
    if not chosen:
        raise UsageError(f"no estimator fits {vae.problem} and {toy.problem}")
    figures: dict[str, Any] = {"quick": quick}
    with _torch(vae, chosen, quick) as other:
        kinds = _kinds(vae, toy, chosen, scale)
        for kind in kinds:
            kind.compile(report)
        figures["torch"], other = _await(other, report)
        for kind in kinds:
            figures[kind.kind] = kind.run(other, scale.rounds, report)
    figures["batches"] = batches.measure(vae, chosen, scale.batch_steps, scale.rounds, report)
    figures["evaluation"] = evaluating.measure(
        LARGE, vae.params, scale.bound_samples, scale.images, scale.rounds, report
    )
    everything = [example for cls in library.ALL for example in cls.examples()]
    priced = everything if estimators is None and not quick else chosen
    figures["cost"] = cost.measure(
        workload.prepare(SMALL), priced, scale.cost_gradients, scale.cost_rounds, report
    )
    figures["machine"] = machine() | {"load": [load_before, load()]}
    figures["seconds"] = time.perf_counter() - start
    return figures


def _fits(work: Workload, estimator: Estimator, times: int, named: Collection[str] | None) -> bool:
    reason = work.refusal(estimator, times)
    if reason and (named is None or str(estimator) in named):
        instead = work.problem.instead(
            estimator, work.problem.distribution(work.params, work.batch)
        )
        raise UsageError(f"{estimator} does not fit {work.problem}: {reason}{instead}")
    return not reason


def _kinds(
    vae: Workload, toy: Workload, estimators: Sequence[Estimator], scale: Scale
) -> list[SideBySide]:
    def rounds(make: Callable[..., Round], work: Workload, amount: int) -> dict[str, Round]:
        return {str(estimator): make(work, estimator, amount) for estimator in estimators}

    about = {"problem": str(vae.problem), "batch": LARGE.batch_size}
    about["parameters"] = vae.num_parameters
    drawn = rounds(workload.gradients, vae, scale.gradients)
    trained = rounds(workload.steps, vae, scale.steps)
    tossed = rounds(workload.throughput, toy, scale.bits)
    return [
        SideBySide("gradients", "seconds per 1,000 gradients", False, drawn, about),
        SideBySide("steps", "training steps per second", True, trained, about),
        SideBySide("toy", "toy gradients per second", True, tossed, {"problem": str(toy.problem)}),
    ]


def _torch(
    vae: Workload, estimators: Sequence[Estimator], quick: bool
) -> contextlib.AbstractContextManager[Process | None]:
    if not torch_process.is_installed():
        return contextlib.nullcontext()
    encoder, decoder = (vae.params[part][0]["layers"][0] for part in ("encoder", "decoder"))
    weights = [layer[name] for layer in (encoder, decoder) for name in ("kernel", "bias")]
    return torch_process.start(
        [str(estimator) for estimator in estimators],
        [np.asarray(array) for array in (*weights, vae.params["prior"], vae.batch)],
        toy={"target": TOY.target, "logit": TOY.logit},
        threads=num_cores(),
        device="cuda" if jax.default_backend() == "gpu" else "cpu",
        quick=quick,
    )


def _await(other: Process | None, report: Report) -> tuple[dict[str, Any], Process | None]:
    """Return information on PyTorch, and its process unless it is missing."""
    if other is None:
        return {"missing": torch_process.MISSING}, None
    try:
        return other.wait(report), other
    except Ended as error:
        return {"missing": str(error)}, None
