"""Episodes until cart-pole is solved, by gradient estimator, beside RELAX's published numbers."""

import functools
import math
from collections.abc import Sequence

import jax
import numpy as np

from estimators import (
    MLP,
    NVIL,
    RELAX,
    Estimator,
    GroupMean,
    LeaveOneOut,
    MovingAverage,
    ScoreFunction,
)
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import Policy
from experiments.statistics import Estimate
from experiments.studies.figures.measured import value_row
from experiments.studies.figures.paired import UNKNOWN, select
from experiments.studies.figures.predictions import Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.studies.reproduction.published import published
from experiments.training.run import Recipe, Run
from experiments.training.several import along_training

SOLVED = 195.0
"""The mean return of 100 episodes at which cart-pole counts as solved."""

_PUBLISHED = {"value function (A2C)": "A2C", "RELAX": "LAX/RELAX"}
"""What Grathwohl et al. 2018 call them."""

_RATES = (1e-3, 3e-3, 1e-2)  # the grid of Grathwohl et al. 2018
_CONTEXT = 5
_POINTS = 50
_PLAIN, _VALUE, _RELAX = "score function", "value function (A2C)", "RELAX"
_GROUP = "leave-one-out, 4"
_MEMBERS: dict[str, Estimator] = {
    _PLAIN: ScoreFunction(),
    "moving average": ScoreFunction(MovingAverage(0.9)),
    _VALUE: ScoreFunction(NVIL(network=MLP(10, context=_CONTEXT))),
    _GROUP: ScoreFunction(LeaveOneOut(4)),
    "group mean, 4": ScoreFunction(GroupMean(4, normalise=True)),
    _RELAX: RELAX(MLP(10, context=_CONTEXT)),
}


def study(scale: str) -> Figure:
    """Return the study of policies trained from several seeds at each learning rate."""
    smoke = scale == "smoke"
    episodes, seeds, rates = (40, 2, _RATES[2:]) if smoke else (2000, 5, _RATES)
    names = [_PLAIN, _VALUE, _GROUP] if smoke else list(_MEMBERS)
    return figure_study(
        "cart-pole",
        "Return by episodes on cart-pole (after Grathwohl et al. 2018)",
        "cart_pole",
        {
            "episodes": episodes,
            "seeds": seeds,
            "rates": list(rates),
            "members": {name: str(_MEMBERS[name]) for name in names},
        },
        {"published": functools.partial(_published, names)}
        | {name: functools.partial(_trained, name, episodes, seeds, rates) for name in names},
        _predictions(),
    )


def _trained(name: str, episodes: int, seeds: int, rates: Sequence[float], advance) -> list[Row]:
    """Train every run; return the mean return of 100 fresh episodes at points on the way."""
    problem, estimator = Policy("cart-pole"), _MEMBERS[name]
    baseline = estimator.hyperparameters().get("baseline.num_samples", 1)
    updates = episodes // baseline  # an update of a group is that many episodes
    runs = [Run(seed, rate) for rate in rates for seed in range(seeds)]
    score = jax.jit(jax.vmap(problem.scores, (0, None, None)))
    shared = {"problem": str(problem), "name": name} | estimator_columns(estimator)
    rows: list[Row] = []
    for step, models, _ in along_training(Recipe(problem), runs, estimator, updates, _POINTS):
        each = jax.tree.map(lambda *leaves: np.stack(leaves), *models)
        returns = score(each, jax.random.key(step), None)["episode_return"]
        for run, value in zip(runs, np.asarray(returns).tolist(), strict=True):
            place = {"learning_rate": run.rate, "seed": run.seed, "step": step * baseline}
            rows.append(shared | place | value_row("episode_return", value))
        advance(step / updates * 0.99)
    for run in runs:
        place = shared | {"learning_rate": run.rate, "seed": run.seed}
        own = select(rows, **place, metric="episode_return")
        done = [row["step"] for row in own if row["value"] >= SOLVED]
        rows.append(place | value_row("episodes_to_solve", done[0] if done else math.nan))
    return rows


def _published(names: Sequence[str], advance) -> list[Row]:
    """Return the return that solves cart-pole, and the published episodes to it."""
    del advance
    rows: list[Row] = [value_row("solved_return", SOLVED)]
    for name in names:
        if method := _PUBLISHED.get(name):
            where = {"task": "RL Cart-pole", "estimator": method}
            found = published("grathwohl2018", "Table 2", **where)
            about = {"name": name, "source": found.source} | estimator_columns(_MEMBERS[name])
            rows.append(about | value_row("published_episodes", found.value))
    return rows


def episodes_to_solve(rows: Sequence[Row], name: str) -> np.ndarray:
    """Return each seed's episodes to a return of 195, at the rate with the least mean.

    A run that does not reach it counts with the last episode, so that a mean is a lower bound.
    """
    last = max((row["step"] for row in select(rows, name=name, metric="episode_return")), default=0)
    own = select(rows, name=name, metric="episodes_to_solve")
    rates = sorted({row["learning_rate"] for row in own})
    each = [np.array([row["value"] for row in select(own, learning_rate=rate)]) for rate in rates]
    runs = [np.where(np.isfinite(values), values, last) for values in each]
    return min(runs, key=np.mean, default=np.zeros(0))


def _log_ratio(rows: Sequence[Row], first: str, second: str) -> Estimate:
    """Return the logarithm of the ratio of two estimators' episodes, by Welch's interval."""
    one, other = (np.log(episodes_to_solve(rows, name) + 1) for name in (first, second))
    if min(len(one), len(other)) < 2:
        return UNKNOWN
    if np.ptp(one) == np.ptp(other) == 0:
        return Estimate.refused(math.nan, "no run reached a return of 195")
    parts = [values.var(ddof=1) / len(values) for values in (one, other)]
    error = math.sqrt(sum(parts))
    degrees = (
        sum(parts) ** 2
        / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (one, other), strict=True))
        if error
        else math.inf
    )
    return Estimate.student(float(one.mean() - other.mean()), error, degrees)


def _predictions() -> list[Prediction]:
    def ratio(first: str, second: str):
        return lambda rows: _log_ratio(rows, first, second)

    relax = "Grathwohl et al. 2018, table 2: 472 episodes against 1,152"
    return [
        Prediction(
            "RELAX needs fewer episodes than the value function: log ratio below 0",
            relax,
            ratio(_RELAX, _VALUE),
            high=0.0,
        ),
        Prediction(
            "about half as many: log ratio from log 0.25 to log 0.75",
            relax,
            ratio(_RELAX, _VALUE),
            low=math.log(0.25),
            high=math.log(0.75),
        ),
        Prediction(
            "the score function without baseline needs more than the value function",
            "Williams 1992",
            ratio(_PLAIN, _VALUE),
            low=0.0,
        ),
        Prediction(
            "and more than leave-one-out, counting all episodes of a group",
            "Kool et al. 2019",
            ratio(_PLAIN, _GROUP),
            low=0.0,
        ),
    ]
