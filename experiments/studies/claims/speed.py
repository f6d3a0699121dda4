"""Claims about speed."""

from collections.abc import Mapping

import numpy as np

from estimators import Exact, GumbelSoftmax
from experiments.problems import SemiSupervised
from experiments.studies.claims.claim import Claim, Deciding, Effort, Quantity
from experiments.studies.claims.quantities import mean
from experiments.training.timing import rounds

_ROUNDS = 7


def _semi_supervised(effort: Effort) -> Mapping[str, Quantity]:
    found = {}
    for classes in (10, 50):
        problem = SemiSupervised(classes=classes)
        effort.note(f"timing {problem}")
        pair = [rounds(problem, one, 0, effort.seeds(4)) for one in (Exact(), GumbelSoftmax(1.0))]
        # Timed in turn, so that a slow phase of the machine affects both.
        seconds = np.array([[one() for one in pair] for _ in range(effort.seeds(_ROUNDS))])
        found[classes] = np.log(seconds[:, 0] / seconds[:, 1])
    return {
        "log ratio of speeds at 10 classes": mean(found[10]),
        "log ratio at 50 classes, less that at 10": mean(found[50] - found[10]),
    }


STUDIES = (
    Deciding(
        "semi-supervised-speed",
        "training steps of the semi-supervised model, sampled and marginalised, 7 rounds in turn",
        _semi_supervised,
        (
            Claim(
                "Sampling the class is at least twice as fast as marginalising ten classes",
                "Jang et al. 2017, figure 5a",
                "log ratio of speeds at 10 classes",
                low=float(np.log(2)),
                effect=0.3,
            ),
            Claim(
                "The gain of sampling over marginalising grows with the number of classes",
                "Jang et al. 2017, figure 5a",
                "log ratio at 50 classes, less that at 10",
                low=0.0,
                effect=0.3,
            ),
        ),
    ),
)
