"""The comparison: estimators as they are, at one point of a problem."""

import dataclasses

from estimators import Estimator
from experiments.measurement.point import Row
from experiments.studies.comparison.point_study import PointStudy


@dataclasses.dataclass(frozen=True)
class Comparison(PointStudy):
    """Estimators, each as it is."""

    kind = "compare"

    def members(self, estimator: Estimator) -> list[Estimator]:
        """Return the estimator alone."""
        return [estimator]

    def caution(self, columns: Row, samples: int) -> str:
        """Return nothing."""
        del columns, samples
        return ""
