"""The whole benchmark: work beside PyTorch, batches of runs, evaluation, every estimator's cost."""

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
from experiments.benchmark import batches, cost, evaluating, opponent, workload
from experiments.benchmark.contest import Contest
from experiments.benchmark.machine import load, machine
from experiments.benchmark.opponent import Lost, Opponent
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
"""The estimators that PyTorch has a counterpart of."""

LARGE = VAE(size=200, kl="sampled-no-score")
SMALL = VAE()
TOY = Quadratic(target=0.499)

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is drawn in a round, and how many rounds there are.

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


_QUICK = Effort(
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


def run(
    estimators: Sequence[Estimator] | None,
    named: Collection[str] | None,
    quick: bool,
    report: Report,
) -> dict[str, Any]:
    """Time estimators, and PyTorch beside them where it is installed.

    Args:
        estimators: the estimators; None for those that PyTorch has a counterpart of, and (unless
            `quick`) the cost of every one.
        named: the names of those that must fit; others that do not are left out. None for all.
        quick: whether to draw a few samples only, and not to wait for PyTorch's compiler.
        report: is told what is being timed.

    Returns:
        Plain values: `machine`, `quick`, `torch` (`version`, `threads`, `device`, `failed`; or
        `missing`, with the reason), `gradients`, `steps` and `toy` (see `Contest.hold`),
        `batches`, `evaluation` and `cost` (see the `measure` of each), and `seconds`, what all of
        it took.

    Raises:
        UsageError: for an estimator that does not fit the problems, or where PyTorch's process
            ends before its work is done.
    """
    start, load_before = time.perf_counter(), load()
    effort = _QUICK if quick else Effort()
    chosen = DEFAULT if estimators is None else tuple(estimators)
    vae, toy = workload.prepare(LARGE), workload.prepare(TOY)
    for work, times in ((vae, effort.gradients), (toy, effort.bits)):
        chosen = tuple(one for one in chosen if _fits(work, one, times, named))
    if not chosen:
        raise UsageError(f"no estimator fits {vae.problem} and {toy.problem}")
    figures: dict[str, Any] = {"quick": quick}
    with _opponent(vae, chosen, quick) as other:
        contests = _contests(vae, toy, chosen, effort)
        for contest in contests:
            contest.compile(report)
        figures["torch"], other = _await(other, report)
        for contest in contests:
            figures[contest.kind] = contest.hold(other, effort.rounds, report)
    figures["batches"] = batches.measure(vae, chosen, effort.batch_steps, effort.rounds, report)
    figures["evaluation"] = evaluating.measure(
        vae, effort.bound_samples, effort.images, effort.rounds, report
    )
    everything = [example for cls in library.ALL for example in cls.examples()]
    priced = everything if estimators is None and not quick else chosen
    figures["cost"] = cost.measure(
        workload.prepare(SMALL), priced, effort.cost_gradients, effort.cost_rounds, report
    )
    figures["machine"] = machine() | {"load": [load_before, load()]}
    figures["seconds"] = time.perf_counter() - start
    return figures


def _fits(work: Workload, estimator: Estimator, times: int, named: Collection[str] | None) -> bool:
    reason = work.refusal(estimator, times)
    if reason and (named is None or str(estimator) in named):
        raise UsageError(f"{estimator} does not fit {work.problem}: {reason}")
    return not reason


def _contests(
    vae: Workload, toy: Workload, estimators: Sequence[Estimator], effort: Effort
) -> list[Contest]:
    def rounds(make: Callable[..., Round], work: Workload, amount: int) -> dict[str, Round]:
        return {str(estimator): make(work, estimator, amount) for estimator in estimators}

    about = {"problem": str(vae.problem), "batch": LARGE.batch_size}
    about["parameters"] = vae.num_parameters
    drawn = rounds(workload.gradients, vae, effort.gradients)
    trained = rounds(workload.steps, vae, effort.steps)
    tossed = rounds(workload.throughput, toy, effort.bits)
    return [
        Contest("gradients", "seconds per 1,000 gradients", False, drawn, about),
        Contest("steps", "training steps per second", True, trained, about),
        Contest("toy", "toy gradients per second", True, tossed, {"problem": str(toy.problem)}),
    ]


def _opponent(
    vae: Workload, estimators: Sequence[Estimator], quick: bool
) -> contextlib.AbstractContextManager[Opponent | None]:
    if not opponent.is_installed():
        return contextlib.nullcontext()
    encoder, decoder = (vae.params[part][0]["layers"][0] for part in ("encoder", "decoder"))
    weights = [layer[name] for layer in (encoder, decoder) for name in ("kernel", "bias")]
    return opponent.start(
        [str(estimator) for estimator in estimators],
        [np.asarray(array) for array in (*weights, vae.params["prior"], vae.batch)],
        toy={"target": TOY.target, "logit": TOY.logit},
        threads=num_cores(),
        device="cuda" if jax.default_backend() == "gpu" else "cpu",
        quick=quick,
    )


def _await(other: Opponent | None, report: Report) -> tuple[dict[str, Any], Opponent | None]:
    """Return what PyTorch is, or why there is none; and the opponent, if it is there."""
    if other is None:
        return {"missing": opponent.MISSING}, None
    try:
        return other.wait(report), other
    except Lost as error:
        return {"missing": str(error)}, None
