"""Claims about speed."""

import numpy as np

from estimators import Exact, GumbelSoftmax
from experiments.problems import SemiSupervised
from experiments.statistics import sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above
from experiments.training.timing import rounds

_ROUNDS = 7
_FEW, _MANY = 10, 50
"""Numbers of classes."""


def _log_ratios(scale: Scale) -> dict[int, np.ndarray]:
    """Return the log ratio of training times, marginalised to sampled, by number of classes."""
    found = {}
    for classes in (_FEW, _MANY):
        problem = SemiSupervised(classes=classes)
        scale.note(f"timing {problem}")
        pair = [rounds(problem, one, [0], scale.seeds(4)) for one in (Exact(), GumbelSoftmax(1.0))]
        # Timed alternately, so that a slow phase of the machine affects both.
        seconds = np.array([[one() for one in pair] for _ in range(scale.seeds(_ROUNDS))])
        found[classes] = np.log(seconds[:, 0] / seconds[:, 1])
    return found


STUDIES = (
    ClaimStudy(
        "semi-supervised-speed",
        "training steps of the semi-supervised model, sampled and marginalised, 7 rounds",
        _log_ratios,
        (
            Claim(
                "Sampling the class is at least twice as fast as marginalising ten classes",
                "Jang et al. 2017, figure 5a",
                "log ratio of speeds at 10 classes",
                lambda found: sample_mean(found[_FEW]),
                above(float(np.log(2)), effect=0.3),
            ),
            Claim(
                "The gain of sampling over marginalising grows with the number of classes",
                "Jang et al. 2017, figure 5a",
                "log ratio at 50 classes, less that at 10",
                lambda found: sample_mean(found[_MANY] - found[_FEW]),
                above(0.0, effect=0.3),
            ),
        ),
    ),
)
