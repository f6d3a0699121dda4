"""Mutants of the claims about sequences: strings and episodes."""

import jax

from estimators import NVIL, RELAX, Autoregressive, LeaveOneOut, ReinMax, ScoreFunction
from estimators import StraightThrough as Straight
from tests.experiments.studies.claims.broken import Mutant, as_another, scaled


def steeper(self, sample, right=Autoregressive.log_prob):
    """The log-probability of a sequence, with a derivative that is 10 % too large."""
    found = right(self, sample)
    return found + 0.1 * (found - jax.lax.stop_gradient(found))


def halved(self, values, parameters, right=LeaveOneOut.signal):
    """Half of the signal."""
    return right(self, values, parameters) / 2


def own_value_added(self, values, parameters):
    """A baseline of the wrong sign."""
    return values + self.prediction(parameters)


def far_off(_):
    """The score function with a baseline that is far from the costs."""
    return ScoreFunction(NVIL(network=None, value=1.0))


ONES = (("strings-of-three", "character"), ("token-game", "action"))

MUTANTS = [
    *(
        Mutant(
            study,
            {(ScoreFunction, "estimate"): scaled(ScoreFunction, 0.9)},
            (f"relative bias of the score function, a call for each {step}",),
        )
        for study, step in (*ONES, ("states-of-frames", "frame"))
    ),
    *(
        Mutant(
            study,
            {(Autoregressive, "log_prob"): steeper},
            (f"largest relative difference, a call for each {step} and one for all",),
        )
        for study, step in ONES
    ),
    *(
        Mutant(study, {(cls, "estimate"): broken}, (quantity,))
        for study, on in (("strings-of-three", "strings"), ("states-of-frames", "states of frames"))
        for cls, broken, quantity in (
            (
                Straight,
                as_another(lambda _: ScoreFunction()),
                f"relative bias of straight-through, {on}",
            ),
            (
                ReinMax,
                scaled(ReinMax, 3.0),
                f"log ratio of biases on {on}, ReinMax over straight-through",
            ),
            (
                Straight,
                scaled(Straight, 10.0),
                f"log variance ratio on {on}, straight-through over the score function",
            ),
        )
    ),
    Mutant(
        "rare-reward",
        {(LeaveOneOut, "signal"): halved},
        ("log variance ratio of four episodes, leave-one-out over no baseline",),
    ),
    Mutant(
        "rare-reward",
        {
            (NVIL, "signal"): own_value_added,
            (RELAX, "estimate"): as_another(far_off),
        },
        (
            "log variance ratio, value network over no baseline",
            "log variance ratio, RELAX over no baseline",
        ),
    ),
]
