"""The whole benchmark: three kinds of work beside PyTorch, and what every estimator costs."""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

import estimators as library
from estimators import Estimator, GumbelSoftmax, LeaveOneOut, ScoreFunction, StraightThrough
from experiments.benchmark import cost, opponent, workload
from experiments.benchmark.machine import load, machine
from experiments.benchmark.opponent import Lost, Opponent
from experiments.benchmark.summary import ratios, summarise
from experiments.benchmark.workload import Figure, Round, Workload
from experiments.device import num_cores
from experiments.errors import UsageError
from experiments.problems import VAE, Quadratic

DEFAULT = (
    ScoreFunction(),
    ScoreFunction(LeaveOneOut(2)),
    StraightThrough(),
    GumbelSoftmax(0.5),
)
"""The estimators that PyTorch has a counterpart of."""

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is drawn in a round, and how many rounds there are."""

    rounds: int = 7
    gradients: int = 1000
    steps: int = 250
    bits: int = 2**24
    cost_rounds: int = 5
    cost_gradients: int = 1024


_QUICK = Effort(rounds=2, gradients=32, steps=5, bits=2**16, cost_rounds=2, cost_gradients=32)


@dataclasses.dataclass(frozen=True)
class Contest:
    """One kind of work, ours by estimator.

    Attributes:
        kind: its name, here and in PyTorch's process.
        figure: what is counted, with its unit.
        more_is_better: whether the figure is a speed and not a time.
        ours: rounds of work by the estimator's identity.
    """

    kind: str
    figure: str
    more_is_better: bool
    ours: Mapping[str, Round]


def run(estimators: Sequence[Estimator] | None, quick: bool, report: Report) -> dict[str, Any]:
    """Time estimators, and PyTorch beside them where it is installed.

    Args:
        estimators: the estimators; None for those that PyTorch has a counterpart of, and the cost
            of every one.
        quick: whether to draw a few samples only.
        report: is told what is being timed.

    Returns:
        Plain values: `machine`, `quick`, `torch` (`version`, `threads`, `device`, `failed`; or
        `missing`, with the reason), `gradients`, `steps` and `toy` (see `compete`), `cost` (see
        `cost.measure`), and `seconds`, what all of it took.

    Raises:
        UsageError: for an estimator that does not fit the VAE or the toy.
    """
    start, load_before = time.perf_counter(), load()
    effort = _QUICK if quick else Effort()
    chosen = DEFAULT if estimators is None else tuple(estimators)
    vae = workload.prepare(VAE(size=200, kl="sampled-no-score"))
    toy = workload.prepare(Quadratic(target=0.499))
    for work in (vae, toy):
        for estimator in chosen:
            if reason := work.refusal(estimator):
                raise UsageError(f"{estimator} does not fit {work.problem}: {reason}")
    contests = _contests(vae, toy, chosen, effort)
    figures: dict[str, Any] = {"machine": machine() | {"load": [load_before]}, "quick": quick}
    with _opponent(vae, toy, chosen, quick) as other:
        for contest in contests:
            for name, one_round in contest.ours.items():
                report(f"compiling {contest.kind} of {name}")
                one_round(jax.random.key(0))
        figures["torch"], other = _wait(other, report)
        for contest in contests:
            figures[contest.kind] = compete(contest, other, effort.rounds, report)
    figures["gradients"]["parameters"] = vae.num_parameters
    figures["gradients"]["problem"] = figures["steps"]["problem"] = str(vae.problem)
    figures["gradients"]["batch"] = figures["steps"]["batch"] = len(vae.batch)
    figures["toy"]["problem"] = str(toy.problem)
    every = [one for cls in library.ALL for one in cls.examples()]
    priced = every if estimators is None and not quick else chosen
    small = workload.prepare(VAE())
    figures["cost"] = {"problem": str(small.problem)} | cost.measure(
        small, priced, effort.cost_gradients, effort.cost_rounds, report
    )
    figures["machine"]["load"].append(load())
    figures["seconds"] = time.perf_counter() - start
    return figures


def _contests(
    vae: Workload, toy: Workload, estimators: Sequence[Estimator], effort: Effort
) -> list[Contest]:
    def rounds(make: Callable[..., Round], work: Workload, amount: int) -> dict[str, Round]:
        return {str(estimator): make(work, estimator, amount) for estimator in estimators}

    return [
        Contest(
            "gradients",
            "seconds per 1,000 gradients",
            False,
            rounds(workload.gradients, vae, effort.gradients),
        ),
        Contest(
            "steps", "training steps per second", True, rounds(workload.steps, vae, effort.steps)
        ),
        Contest("toy", "gradients per second", True, rounds(workload.throughput, toy, effort.bits)),
    ]


def compete(
    contest: Contest, other: Opponent | None, num_rounds: int, report: Report
) -> dict[str, Any]:
    """Time one kind of work, ours and PyTorch's in turn within every round.

    Returns:
        `figure`, what is counted; `more_is_better`; and `rows` by estimator. A row holds the
        summary of `estimax`; of `torch` by variant; the `best` of these by its median, and the
        summary of the `ratio`, how many times as fast as that one we are (both None without
        PyTorch).
    """
    drawn: dict[tuple[str, str], list[Figure]] = {}
    for number in range(num_rounds):
        report(f"timing {contest.figure}, round {number + 1} of {num_rounds}")
        for name, one_round in contest.ours.items():
            drawn.setdefault((name, ""), []).append(one_round(jax.random.key(number)))
            for variant in other.variants(contest.kind, name) if other else ():
                figure = other.round(contest.kind, name, variant)
                drawn.setdefault((name, variant), []).append(figure)
    rows = {}
    for name in contest.ours:
        ours = drawn[name, ""]
        theirs = {variant: own for (owner, variant), own in drawn.items() if owner == name}
        del theirs[""]
        rows[name] = {
            "estimax": _brief(ours),
            "torch": {variant: _brief(own) for variant, own in theirs.items()},
            "best": None,
            "ratio": None,
        }
        if theirs:
            choose = max if contest.more_is_better else min
            best = choose(theirs, key=lambda variant: rows[name]["torch"][variant]["median"])
            pair = [[figure["value"] for figure in side] for side in (ours, theirs[best])]
            rows[name]["best"] = best
            rows[name]["ratio"] = summarise(ratios(*pair, contest.more_is_better))
    return {"figure": contest.figure, "more_is_better": contest.more_is_better, "rows": rows}


def _brief(rounds: list[Figure]) -> dict[str, float]:
    """Return the summary of a figure, with the averages of its moments."""
    moments = {
        name: statistics.fmean(figure[name] for figure in rounds)
        for name in rounds[0]
        if name != "value"
    }
    return summarise([figure["value"] for figure in rounds]) | moments


def _opponent(
    vae: Workload, toy: Workload, estimators: Sequence[Estimator], quick: bool
) -> contextlib.AbstractContextManager[Opponent | None]:
    if not opponent.is_installed():
        return contextlib.nullcontext()
    encoder, decoder = (vae.params[part]["layers"][0] for part in ("encoder", "decoder"))
    arrays = (
        encoder["kernel"],
        encoder["bias"],
        decoder["kernel"],
        decoder["bias"],
        vae.params["prior"],
        vae.batch,
    )
    return opponent.start(
        [str(estimator) for estimator in estimators],
        [np.asarray(array) for array in arrays],
        toy={"target": toy.problem.target, "logit": toy.problem.logit},
        threads=num_cores(),
        device="cuda" if jax.default_backend() == "gpu" else "cpu",
        quick=quick,
    )


def _wait(other: Opponent | None, report: Report) -> tuple[dict[str, Any], Opponent | None]:
    """Return what PyTorch is, or why there is none; and the opponent, if it is there."""
    if other is None:
        return {"missing": opponent.MISSING}, None
    try:
        return other.wait(report), other
    except Lost as error:
        return {"missing": str(error)}, None
