"""The comparison of unmodified estimators at one point of a problem."""

from collections.abc import Sequence

from estimators import Estimator
from experiments.running.study import Study
from experiments.studies.comparison.point_study import point_study
from experiments.studies.comparison.settings import CompareSettings


def comparison(settings: CompareSettings) -> Study[Sequence[Estimator]]:
    """Return the study of unmodified estimators."""
    return point_study(settings, "compare")
