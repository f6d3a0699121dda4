"""An estimate with its uncertainty, and quantiles of its distribution."""

import dataclasses
import functools
import math

LEVEL = 0.95
"""Confidence level of every interval."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its uncertainty.

    Attributes:
        value: the estimate.
        low: the low end of its 95% interval; NaN without one.
        high: the high end.
        note: why there is no interval or no standard error; empty if there is one.
        error: the standard error, for Student's distribution; infinite if unknown.
        degrees: degrees of freedom of the standard error.
    """

    value: float
    low: float
    high: float
    note: str = ""
    error: float = math.inf
    degrees: float = math.inf

    @classmethod
    def refused(cls, value: float, note: str) -> "Estimate":
        """Return a value without an interval; a value that is not finite becomes NaN."""
        return cls(value if math.isfinite(value) else math.nan, math.nan, math.nan, note)

    @classmethod
    def student(cls, value: float, error: float = 0.0, degrees: float = math.inf) -> "Estimate":
        """Return a value with Student's interval for its standard error; by default it is exact."""
        half = quantile(degrees) * error
        return cls(value, value - half, value + half, "", error, degrees)

    def unsure(self, note: str) -> "Estimate":
        """Return the estimate without interval and standard error, with the reason as its note."""
        return dataclasses.replace(self, low=math.nan, high=math.nan, error=math.inf, note=note)

    def __truediv__(self, divisor: float) -> "Estimate":
        """Return the estimate divided by a positive number."""
        names = "value", "low", "high", "error"
        return dataclasses.replace(self, **{name: getattr(self, name) / divisor for name in names})

    def interval(self) -> dict[str, float | str]:
        """Return the columns of a table of intervals."""
        return {"value": self.value, "low": self.low, "high": self.high, "note": self.note}

    def test(self) -> dict[str, float | str]:
        """Return the columns of a table of Student's tests."""
        columns = {"value": self.value, "error": self.error, "degrees": self.degrees}
        return columns | {"note": self.note}


@functools.cache
def quantile(degrees: float = math.inf, level: float = LEVEL) -> float:
    """Return Student's quantile for a two-sided interval; by default the normal quantile."""
    from scipy import special  # scipy.stats takes a second to import

    return float(special.stdtrit(degrees, (1 + level) / 2))
