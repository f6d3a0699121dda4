"""The comparison: estimators as they are, at one point of a problem."""

from estimators import Estimator
from experiments.running.study import Study
from experiments.studies.comparison.point_study import point_study
from experiments.studies.comparison.settings import CompareSettings


def comparison(settings: CompareSettings) -> Study[Estimator]:
    """Return the study of estimators as they are."""
    return point_study(settings, "compare")
