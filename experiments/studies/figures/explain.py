"""Learning to explain: do explanations find the features that matter, by estimator and law."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import get_args

import jax

from estimators import (
    SIMPLE,
    Estimator,
    Exact,
    GumbelSoftmax,
    ImplicitMLE,
    LeaveOneOut,
    RelaxedTopK,
    ScoreFunction,
    SecondOrderStraightThrough,
)
from experiments.measurement.point import prepare
from experiments.measurement.rows import Row, estimator_columns
from experiments.problems import Explain
from experiments.problems.explain import Law, Task
from experiments.statistics import Estimate, sample_mean
from experiments.studies.figures.measured import error_rows, score_rows
from experiments.studies.figures.paired import UNKNOWN, difference, log_ratio, relative, select
from experiments.studies.figures.predictions import Prediction
from experiments.studies.figures.study import Figure, figure_study
from experiments.training.run import Recipe, Run
from experiments.training.several import train_several

_RATE = 1e-3
_CONCRETES = "max of Concretes"


@dataclasses.dataclass(frozen=True)
class _Member:
    """A line of the figure: an estimator, and the law of the masks that it takes."""

    law: Law
    estimator: Estimator


_MEMBERS = {
    "exact": _Member("Subset", Exact()),
    "SIMPLE": _Member("Subset", SIMPLE()),
    "second order": _Member("Subset", SecondOrderStraightThrough()),
    "implicit MLE": _Member("Subset", ImplicitMLE()),
    "score function": _Member("Subset", ScoreFunction()),
    "leave-one-out": _Member("Subset", ScoreFunction(LeaveOneOut(2))),
    "relaxed top k": _Member("PlackettLuceSubset", RelaxedTopK(0.5)),
    "relaxed top k, straight-through": _Member("PlackettLuceSubset", RelaxedTopK(0.5, True)),
    "leave-one-out, perturbed": _Member("PlackettLuceSubset", ScoreFunction(LeaveOneOut(2))),
    _CONCRETES: _Member("Categorical", GumbelSoftmax(0.1)),
}


def study(scale: str) -> Figure:
    """Return the study of explanations of the four tasks, and of gradients on the first.

    Networks, rate, 1,000 steps and the temperature of the Concretes are those of Chen et al. 2018,
    whose batches have 1,000 examples. A batch of `exact`, which sums over all masks of an example,
    has a 25th of the examples.
    """
    smoke = scale == "smoke"
    batch, steps, seeds, samples = (50, 100, 2, 256) if smoke else (500, 1000, 3, 1 << 14)
    tasks_of_it = get_args(Task)[:2] if smoke else get_args(Task)
    names = ["SIMPLE", "score function", "relaxed top k"] if smoke else list(_MEMBERS)
    tasks = {
        f"{task}, {name}": functools.partial(_explained, name, task, batch, steps, seeds)
        for task in tasks_of_it
        for name in names
    }
    measured = [name for name in names if name != "exact"]
    after = 20 if smoke else 300
    tasks |= {"gradients": functools.partial(_gradients, measured, samples, after)}
    return figure_study(
        "explain",
        "Features that explain predictions (after Chen et al. 2018)",
        "explain",
        {
            "problem": str(Explain()),
            "batch": batch,
            "steps": steps,
            "seeds": seeds,
            "rate": _RATE,
            "samples": samples,
            "members": {name: str(_MEMBERS[name]) for name in names},
        },
        tasks,
        _predictions(),
    )


def _explained(name: str, task: Task, batch: int, steps: int, seeds: int, advance) -> list[Row]:
    """Train several seeds; return the scores of their explanations."""
    member = _MEMBERS[name]
    size = max(batch // 25, 1) if isinstance(member.estimator, Exact) else batch
    problem = Explain(task=task, law=member.law, batch_size=size)
    runs = [Run(seed, _RATE) for seed in range(seeds)]
    models, _ = train_several(Recipe(problem), runs, member.estimator, steps, advance)
    shared = _columns(problem, name) | {"panel": task, "steps": steps}
    return [shared | row for row in score_rows(problem, models)]


def _columns(problem: Explain, name: str) -> Row:
    about = {"problem": str(problem), "objective": problem.objective, "name": name}
    return about | {"law": problem.law} | estimator_columns(_MEMBERS[name].estimator)


def _gradients(names: Sequence[str], samples: int, steps: int, advance) -> list[Row]:
    """Return bias and variance of the gradient in the logits, by law, after training with it."""
    laws: set[Law] = {_MEMBERS[name].law for name in names}
    points = {law: prepare(Explain(law=law), jax.random.key(0), train_steps=steps) for law in laws}
    rows: list[Row] = []
    for number, name in enumerate(names):
        member = _MEMBERS[name]
        problem, point = Explain(law=member.law), points[member.law]
        found = error_rows(point, member.estimator, jax.random.key(2), samples)
        shared = _columns(problem, name) | {"panel": "gradients", "steps": steps}
        rows += [shared | row for row in found]
        advance((number + 1) / len(names))
    return rows


def _predictions() -> list[Prediction]:
    ahmed, chen = "Ahmed et al. 2023, arXiv:2210.01941", "Chen et al. 2018, arXiv:1802.07814"

    def rank(name: str, task: Task):
        def of(rows: Sequence[Row]) -> Estimate:
            found = select(rows, metric="rank", panel=task, name=name)
            return sample_mean([row["value"] for row in found]) if found else UNKNOWN

        return of

    def behind(task: Task, *names: str):
        first, second = ({"metric": "rank", "panel": task, "name": name} for name in names)
        return lambda rows: difference(rows, first, second)

    def ratio(metric: str, *names: str):
        return lambda rows: log_ratio(
            *(relative(rows, metric, panel="gradients", name=name) for name in names)
        )

    return [
        Prediction(
            "gradient: SIMPLE has less bias than implicit MLE (log ratio of squares)",
            ahmed,
            ratio("squared_bias", "SIMPLE", "implicit MLE"),
            high=0.0,
        ),
        Prediction(
            "gradient: SIMPLE varies less than implicit MLE (log ratio)",
            ahmed,
            ratio("variance", "SIMPLE", "implicit MLE"),
            high=0.0,
        ),
        Prediction(
            "gradient: SIMPLE varies less than leave-one-out (log ratio)",
            ahmed,
            ratio("variance", "SIMPLE", "leave-one-out"),
            high=0.0,
        ),
        Prediction(
            "gradient: second order has less bias than SIMPLE (log ratio of squares)",
            "derived: exact for quadratics",
            ratio("squared_bias", "second order", "SIMPLE"),
            high=0.0,
        ),
        Prediction(
            "gradient: second order varies more than SIMPLE (log ratio)",
            "derived for linear f, where SIMPLE has no variance",
            ratio("variance", "second order", "SIMPLE"),
            low=0.0,
        ),
        *[
            Prediction(
                f"{task}: {name} is near the optimum: its median rank is below 3 (best 2.5)",
                chen,
                rank(name, task),
                high=3.0,
            )
            for task in ("orange", "additive")
            for name in (_CONCRETES, "relaxed top k", "SIMPLE")
        ],
        Prediction(
            "orange: the score function without a baseline is not: its median rank is above 3",
            "from memory",
            rank("score function", "orange"),
            low=3.0,
        ),
        Prediction(
            "switch: leave-one-out ranks worse than SIMPLE",
            "ours: variance grows with what is selected",
            behind("switch", "leave-one-out", "SIMPLE"),
            low=0.0,
        ),
        Prediction(
            "switch: SIMPLE's bias costs little: its rank is at most 0.3 above the exact one's",
            "ours",
            behind("switch", "SIMPLE", "exact"),
            high=0.3,
        ),
    ]
