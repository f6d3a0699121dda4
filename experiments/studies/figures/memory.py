"""The soft machine and the distribution over machines: losses, directions, and what is learned."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    REBAR,
    Bernoulli,
    DiffusionRelaxation,
    DisARM,
    Estimator,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.measurement.point import Instrument
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import Memory
from experiments.statistics import Estimate, Truth, cosine_of_mean, sample_mean
from experiments.studies.figures.paired import UNKNOWN, select
from experiments.studies.figures.predictions import Of, Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

SOFT, ALL = "soft machine", "all machines"
_ZERO = "straight-through, slope 0"
_SOFT_LOSS, _EXACT_LOSS = "soft_loss", "exact_loss"
_RATES = (0.03, 0.1)


class _Rival(NamedTuple):
    """An estimator, and the slope of the program at its kinks."""

    estimator: Estimator
    kink: float = 0.5


_RIVALS = {
    SOFT: _Rival(DiffusionRelaxation(1)),
    "Gumbel-softmax, 1": _Rival(GumbelSoftmax(1.0)),
    "Gumbel-softmax, 0.2": _Rival(GumbelSoftmax(0.2)),
    "ST Gumbel-softmax, 0.5": _Rival(StraightThroughGumbelSoftmax(0.5)),
    _ZERO: _Rival(StraightThrough(), 0.0),
    "straight-through, slope 1/2": _Rival(StraightThrough()),
    "ReinMax, slope 1/2": _Rival(ReinMax()),
    "score function": _Rival(ScoreFunction()),
    "leave-one-out, 2": _Rival(ScoreFunction(LeaveOneOut(2))),
    "DisARM": _Rival(DisARM()),
    "REBAR, 0.5": _Rival(REBAR(0.5)),
    ALL: _Rival(Exact()),
}
_IN_SMOKE = (SOFT, "Gumbel-softmax, 1", "DisARM", ALL)


def study(scale: str) -> Figure:
    """Return the study of the coin and of reversals of two and three symbols."""
    smoke = scale == "smoke"
    names = _IN_SMOKE if smoke else tuple(_RIVALS)
    points, draws, seeds, steps = (2, 256, 5, 100) if smoke else (16, 1 << 16, 50, 2000)
    tasks = {"losses": functools.partial(_losses, 11 if smoke else 41)}
    for name in names:
        rival = _RIVALS[name]
        tasks[f"{name}: direction"] = functools.partial(_direction, name, rival, points, draws)
        tasks[f"{name}: training"] = functools.partial(
            _training, name, rival, (2,) if smoke else (2, 3), seeds, steps
        )
    settings = {"points": points, "draws": draws, "seeds": seeds, "steps": steps}
    return figure_study(
        "memory",
        "A soft machine and a distribution over machines (Grefenstette et al. 2015)",
        "memory",
        settings | {"rates": list(_RATES), "kinks": [_RIVALS[name].kink for name in names]},
        tasks,
        PREDICTIONS,
    )


def _losses(count: int, advance: Callable[[float], None]) -> list[Row]:
    """Return both losses of the coin, and of reversals between a wrong machine and a right one."""
    rows: list[Row] = []
    for problem, wrong, right in (
        (Memory("coin"), np.zeros(1), np.ones(1)),
        *((Memory(symbols=n), 1 - perfect(n), perfect(n)) for n in (2, 3)),
    ):
        both = jax.jit(jax.vmap(functools.partial(losses, problem)))
        shares = np.linspace(0, 1, count)
        found = both(jnp.asarray(wrong + shares[:, None] * (right - wrong), jnp.float32))
        for metric, values in zip((_SOFT_LOSS, _EXACT_LOSS), found, strict=True):
            rows += [
                {"problem": str(problem), "probability": x, "metric": metric, "value": float(y)}
                for x, y in zip(shares, values, strict=True)
            ]
    return rows


def perfect(symbols: int) -> np.ndarray:
    """Return the bits of a machine that reverses: it pushes while it reads, and then pops."""
    first = np.arange(2 * symbols - 1) < symbols
    return np.concatenate([~first, first]).astype(float)


def losses(problem: Memory, chances: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the loss of the soft machine at `[D]` chances, and the expectation over machines."""
    states = Bernoulli(jnp.zeros(problem.bits)).states()
    each = jax.vmap(functools.partial(problem.f, states[0]))(states)
    # Without logarithms, since chances may be 0 and 1.
    machines = jnp.where(states > 0, chances, 1 - chances).prod(-1)
    return problem.f(chances, chances), machines @ each


def _direction(
    name: str, rival: _Rival, points: int, draws: int, advance: Callable[[float], None]
) -> list[Row]:
    """Return cosines of an estimator's mean gradient with both gradients, at random logits."""
    problem = Memory(kink=rival.kink)
    instrument = Instrument(problem, "logits")
    rows: list[Row] = []
    for number, key in enumerate(jax.random.split(jax.random.key(1), points)):
        point = instrument.point(problem.initial(key), None, jax.random.key(0))
        blocks, soft = (
            point.draw(one, jax.random.key(2), count)[0]
            for one, count in ((rival.estimator, draws), (DiffusionRelaxation(1), 64))
        )
        shared = {"problem": str(problem), "name": name, "number": number, "samples": draws}
        shared |= estimator_columns(rival.estimator)
        for graph, truth in (("soft", Truth(soft.mean)), ("expectation", point.truth)):
            found = cosine_of_mean(blocks, truth).interval()
            rows.append(shared | {"graph": graph, "metric": "cosine_mean"} | found)
        advance((number + 1) / points)
    return rows


def _training(
    name: str,
    rival: _Rival,
    symbols: Sequence[int],
    seeds: int,
    steps: int,
    advance: Callable[[float], None],
) -> list[Row]:
    """Return the losses of machines after training, from random logits."""
    rows: list[Row] = []
    runs = [Run(seed, rate) for rate in _RATES for seed in range(seeds)]
    for number, count in enumerate(symbols):
        problem = Memory(symbols=count, kink=rival.kink)
        models, _ = train_several(
            Recipe(problem),
            runs,
            rival.estimator,
            steps,
            lambda part, number=number: advance((number + part) / len(symbols)),
        )

        def scores(params, problem=problem):
            found = problem.scores(params, jax.random.key(0), None)
            return found | {_EXACT_LOSS: problem.exact_loss(params, None)}

        each = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
        found = jax.jit(jax.vmap(scores))(each)
        shared = {"problem": str(problem), "name": name, "steps": steps}
        shared |= estimator_columns(rival.estimator)
        rows += [
            shared
            | {"seed": run.seed, "learning_rate": run.rate, "metric": metric, "value": float(value)}
            for metric, values in found.items()
            for run, value in zip(runs, values, strict=True)
        ]
    return rows


def _of(rows: Sequence[Row], **columns: object) -> np.ndarray:
    """Return the values of the rows that have these columns."""
    return np.array([row["value"] for row in select(rows, **columns)])


def _solved(rows: Sequence[Row], name: str, symbols: int) -> np.ndarray:
    """Return which starts end at a perfect machine, at the estimator's better learning rate."""
    shared = {"name": name, "problem": str(Memory(symbols=symbols, kink=_RIVALS[name].kink))}
    rates = [_of(rows, **shared, metric="rounded_loss", learning_rate=rate) == 0 for rate in _RATES]
    return max(rates, key=lambda each: each.mean() if len(each) else 0.0)


def _share(name: str, symbols: int) -> Of:
    """Return the share of starts that end at a perfect machine, Agresti and Coull's interval."""

    def of(rows: Sequence[Row]) -> Estimate:
        solved = _solved(rows, name, symbols)
        if not len(solved):
            return UNKNOWN
        padded, count = (solved.sum() + 2) / (len(solved) + 4), len(solved) + 4
        half = 2 * float(np.sqrt(padded * (1 - padded) / count))
        return Estimate(float(solved.mean()), padded - half, padded + half)

    return of


def _more(first: str, second: str, symbols: int) -> Of:
    """Return the difference of two shares, of the same starts."""

    def of(rows: Sequence[Row]) -> Estimate:
        one, other = (_solved(rows, name, symbols).astype(float) for name in (first, second))
        return sample_mean(one - other) if len(one) and len(other) else UNKNOWN

    return of


def _nearer(name: str) -> Of:
    """Return the cosine with the soft gradient, less that with the expectation's."""

    def of(rows: Sequence[Row]) -> Estimate:
        both = [
            _of(rows, name=name, metric="cosine_mean", graph=graph)
            for graph in ("soft", "expectation")
        ]
        return sample_mean(both[0] - both[1]) if len(both[0]) else UNKNOWN

    return of


def _undecided_bits(rows: Sequence[Row]) -> Estimate:
    """Return the expected loss less the likeliest machine's, after training by DisARM."""
    shared = {"name": "DisARM", "problem": str(Memory()), "learning_rate": _RATES[0]}
    ends = [_of(rows, **shared, metric=metric) for metric in (_EXACT_LOSS, "rounded_loss")]
    return sample_mean(ends[0] - ends[1]) if len(ends[0]) else UNKNOWN


def _below_machines(rows: Sequence[Row]) -> Estimate:
    """Return by how much the soft coin's least loss is below every machine's."""
    coin = {"problem": str(Memory("coin"))}
    soft, exact = (_of(rows, **coin, metric=metric) for metric in (_SOFT_LOSS, _EXACT_LOSS))
    return Estimate.student(float(exact.min() - soft.min())) if len(soft) else UNKNOWN


_OURS = "ours"
_TRIED = "ours, after 100 short runs"

PREDICTIONS = (
    Prediction(
        "the soft coin's least loss is 1/4 below that of every machine",
        "derived",
        _below_machines,
        0.2499,
        0.2501,
    ),
    Prediction(
        "the soft machine solves two symbols from 90 % of starts", _OURS, _share(SOFT, 2), 0.9
    ),
    Prediction(
        "the expectation over machines solves two symbols from 90 % of starts",
        _OURS,
        _share(ALL, 2),
        0.9,
    ),
    Prediction(
        "at three symbols the soft machine is solved less often than the expectation",
        _OURS,
        _more(SOFT, ALL, 3),
        high=0.0,
    ),
    Prediction(
        "straight-through stalls at slope 0: it solves two symbols less often than at 1/2",
        "derived",
        _more(_ZERO, "straight-through, slope 1/2", 2),
        high=0.0,
    ),
    Prediction(
        "runs of DisARM end at machines: the expected loss is that of the likeliest",
        "derived",
        _undecided_bits,
        -0.05,
        0.05,
    ),
    Prediction(
        "noise helps: DisARM solves three symbols more often than the exact gradient",
        _TRIED,
        _more("DisARM", ALL, 3),
        0.0,
    ),
    Prediction(
        "Gumbel-softmax at 1 points along the soft machine rather than the expectation",
        _OURS,
        _nearer("Gumbel-softmax, 1"),
        0.0,
    ),
    Prediction(
        "Gumbel-softmax at 0.2 points along the expectation rather than the soft machine",
        _OURS,
        _nearer("Gumbel-softmax, 0.2"),
        high=0.0,
    ),
)
"""What setups_more.md and we expected before the first run at full size."""
