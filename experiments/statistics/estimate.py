"""A value with its interval, the truth it is compared with, and the quantiles both need."""

import dataclasses
import functools
import math

import numpy as np
from scipy import stats

from experiments.measurement.moments import Blocks

LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval; where there is none its ends are nan, and a note says why."""

    value: float
    low: float
    high: float
    note: str = ""

    @classmethod
    def refused(cls, value: float, note: str) -> "Estimate":
        """Return a value without an interval."""
        return cls(value, math.nan, math.nan, note)


@dataclasses.dataclass(frozen=True)
class Truth:
    """The true gradient: exact, or a long run of an unbiased estimator on other keys."""

    mean: np.ndarray
    blocks: Blocks | None = None

    @property
    def error(self) -> float:
        """Expected squared error of the truth: zero where it is exact."""
        return 0.0 if self.blocks is None else self.blocks.variance.sum() / self.blocks.count


@functools.cache
def quantile(degrees: float = math.inf) -> float:
    """Return Student's quantile of a two-sided interval; the normal one without degrees."""
    tail = (1 + LEVEL) / 2
    return float(stats.norm.ppf(tail) if math.isinf(degrees) else stats.t.ppf(tail, degrees))
