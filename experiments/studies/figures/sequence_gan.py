"""What a generator of strings learns from a discriminator, by its gradient estimator."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import numpy as np

from estimators import (
    Estimator,
    Exact,
    GumbelRao,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.measurement.point import Instrument
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import SequenceGAN
from experiments.problems.grammar import decoded
from experiments.statistics import Estimate, sample_mean
from experiments.studies.figures.measured import error_rows, value_row
from experiments.studies.figures.paired import UNKNOWN, log_ratio, relative, select
from experiments.studies.figures.predictions import Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training import train
from experiments.training.run import Recipe, Run
from experiments.training.several import along_training

_RATE = 1e-3
_SEEDS = 2
_STRINGS = 8
_POINTS = 25
_LIKELIHOOD, _NOISED = "maximum likelihood", "Gumbel-softmax, noised sentences"
_GUMBEL, _SCORE = "Gumbel-softmax", "score function, moving average"
_GROUP = "score function, leave-one-out"
_ARMS = {"none": 0, "likelihood": 200}
"""By name: the steps of maximum likelihood before the game."""


@dataclasses.dataclass(frozen=True)
class _Member:
    """A line of the figure: an estimator, with how its problem differs."""

    estimator: Estimator
    noise: float = 0.0
    goal: str = "adversarial"

    def problem(self, length: int, batch: int, pretraining: int) -> SequenceGAN:
        """Return its problem; every member draws as many strings a step."""
        drawn = 4 if self.estimator.hyperparameters().get("baseline") == "LeaveOneOut" else 1
        return SequenceGAN(
            length,
            batch_size=max(batch // drawn, 1),
            goal="likelihood" if self.goal == "likelihood" else "adversarial",
            pretraining=pretraining,
            noise=self.noise,
        )


_MEMBERS = {
    _LIKELIHOOD: _Member(Exact(), goal="likelihood"),
    _GUMBEL: _Member(GumbelSoftmax(1.0)),
    _NOISED: _Member(GumbelSoftmax(1.0), noise=1.0),
    "straight-through Gumbel-softmax": _Member(StraightThroughGumbelSoftmax(1.0)),
    "straight-through": _Member(StraightThrough()),
    "Gumbel-Rao": _Member(GumbelRao(1.0, 10)),
    "ReinMax": _Member(ReinMax()),
    _SCORE: _Member(ScoreFunction(MovingAverage(0.9))),
    _GROUP: _Member(ScoreFunction(LeaveOneOut(4))),
}


def study(scale: str) -> Figure:
    """Return the study of generators without and with pretraining, and of their gradients."""
    smoke = scale == "smoke"
    length, batch, steps, samples = (5, 8, 40, 1024) if smoke else (12, 128, 5000, 1 << 14)
    names = [_LIKELIHOOD, _GUMBEL, _SCORE] if smoke else list(_MEMBERS)
    tasks = {
        f"{name}, pretraining {arm}": functools.partial(_trained, name, arm, length, batch, steps)
        for arm in _ARMS
        for name in names
    }
    tasks |= {"gradients": functools.partial(_gradients, names, samples)}
    return figure_study(
        "sequence-gan",
        "Strings of a grammar: generators by gradient estimator (after Kusner and "
        "Hernandez-Lobato 2016)",
        "sequence_gan",
        {
            "length": length,
            "batch": batch,
            "steps": steps,
            "rate": _RATE,
            "seeds": _SEEDS,
            "samples": samples,
            "members": {name: str(_MEMBERS[name]) for name in names},
        },
        tasks,
        _predictions(),
    )


def _trained(name: str, arm: str, length: int, batch: int, steps: int, advance) -> list[Row]:
    """Train a generator from each seed; return its scores on the way, and strings at the end."""
    member = _MEMBERS[name]
    problem = member.problem(length, batch, _ARMS[arm])
    runs = [Run(seed, _RATE) for seed in range(_SEEDS)]
    score = jax.jit(problem.scores)
    shared = {"problem": str(problem), "name": name, "panel": arm}
    shared |= estimator_columns(member.estimator)
    rows: list[Row] = []
    for step, models, _ in along_training(Recipe(problem), runs, member.estimator, steps, _POINTS):
        for seed, params in enumerate(models):
            place = shared | {"seed": seed, "step": step}
            found = score(params, jax.random.key(step), None)
            rows += [place | value_row(metric, float(value)) for metric, value in found.items()]
        if step == steps:
            drawn = problem.strings(models[0], jax.random.key(1), _STRINGS)
            rows += [
                shared
                | {"seed": 0, "step": step, "metric": "string", "number": number, "text": string}
                for number, string in enumerate(decoded(np.asarray(drawn)))
            ]
        advance(step / steps * 0.99)
    return rows


def _gradients(names: Sequence[str], samples: int, advance) -> list[Row]:
    """Return bias and variance of the generator's gradient at 4 characters, enumerated."""
    problem = SequenceGAN()
    key = jax.random.key(0)
    params, _, _ = train(
        jax.random.key(1), problem, problem.initial(key), ScoreFunction(LeaveOneOut(4)), None, 300
    )
    instrument = Instrument(problem, "generator")
    point = instrument.point(params, problem.batch(key, None), jax.random.key(2))
    rows: list[Row] = []
    members = [name for name in names if name not in (_LIKELIHOOD, _NOISED)]
    for number, name in enumerate(members):
        estimator = point.ready(_MEMBERS[name].estimator, jax.random.key(4), 400).estimator
        shared = {"problem": str(problem), "name": name, "panel": "gradients"}
        shared |= estimator_columns(_MEMBERS[name].estimator)
        rows += [shared | row for row in error_rows(point, estimator, jax.random.key(3), samples)]
        advance((number + 1) / len(members))
    return rows


def _final(rows: Sequence[Row], name: str, arm: str, metric: str) -> np.ndarray:
    """Return a score of each seed's last strings."""
    own = select(rows, name=name, panel=arm, metric=metric)
    last = max((row["step"] for row in own), default=0)
    return np.array([row["value"] for row in own if row["step"] == last])


def _over_seeds(values: np.ndarray) -> Estimate:
    """Return the mean of a score over seeds; unknown without runs."""
    return sample_mean(values) if len(values) else UNKNOWN


def _log_ratio_of_variance(rows: Sequence[Row], *names: str) -> Estimate:
    """Return the logarithm of the ratio of two variances of the gradient."""
    return log_ratio(*(relative(rows, "variance", panel="gradients", name=name) for name in names))


def _predictions() -> list[Prediction]:
    players = [name for name in _MEMBERS if name != _LIKELIHOOD]

    def behind(arm: str):
        def of(rows: Sequence[Row]) -> Estimate:
            best = [
                _final(rows, name, arm, "divergence").mean()
                for name in players
                if len(_final(rows, name, arm, "divergence"))
            ]
            own = _final(rows, _LIKELIHOOD, arm, "divergence")
            return _over_seeds(min(best) - own if best else own[:0])

        return of

    def score(name: str, arm: str, metric: str):
        return lambda rows: _over_seeds(_final(rows, name, arm, metric))

    def gain(rows: Sequence[Row]) -> Estimate:
        values = [_final(rows, name, "none", "mass") for name in (_NOISED, _GUMBEL)]
        if len(values[0]) != len(values[1]):
            return UNKNOWN
        return _over_seeds(values[0] - values[1])

    distance = "Caccia et al. 2018, arXiv:1811.02549"
    seqgan = "Yu et al. 2017, arXiv:1609.05473: SeqGAN is pretrained"
    paper = "strings printed by Kusner and Hernandez-Lobato 2016"
    return [
        Prediction(
            f"divergence: maximum likelihood has less than every game, pretraining {arm}",
            distance,
            behind(arm),
            low=0.0,
        )
        for arm in _ARMS
    ] + [
        Prediction(
            "the score function without pretraining stays at chance: its mass is below 0.04",
            seqgan,
            score(_SCORE, "none", "mass"),
            high=0.04,
        ),
        Prediction(
            "Gumbel-softmax, with noised sentences as there, learns pairs: above 0.5 are legal",
            paper,
            score(_NOISED, "none", "legal_pairs"),
            low=0.5,
        ),
        Prediction(
            "but no sentences: its mass is below 0.04",
            paper,
            score(_NOISED, "none", "mass"),
            high=0.04,
        ),
        Prediction(
            "the discriminator tells relaxed from hard: noised sentences help Gumbel-softmax",
            "instance noise, the paper's reason for them",
            gain,
            low=0.0,
        ),
        Prediction(
            "gradients: the score function varies more than leave-one-out",
            "Kool et al. 2019",
            lambda rows: _log_ratio_of_variance(rows, _SCORE, _GROUP),
            low=0.0,
        ),
        Prediction(
            "gradients: leave-one-out varies more than Gumbel-softmax",
            "Jang et al. 2017, of VAEs",
            lambda rows: _log_ratio_of_variance(rows, _GROUP, _GUMBEL),
            low=0.0,
        ),
    ]
