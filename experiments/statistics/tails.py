r"""The tail of samples: whether there are enough events for an interval, and what may be missing.

Notation: d_i = |g_i - c|^2 of each of n samples, with mean v, variance s^2 and central third moment
k. The number of effective events is $n v^2 / (v^2 + s^2)$: for equal rare events, their number.

A variance dominated by a few large samples has no interval: samples not drawn could change it by an
unknown amount. Below `needed` effective events none is given. Above, the skewness of v, $k / (s^3
\sqrt n)$, determines how many standard errors higher the truth may be, with constants calibrated on
log-normal, Student's and rare gradients (test_tails.py).
"""

import dataclasses
import math

from experiments.statistics.blocks import Blocks
from experiments.statistics.estimate import quantile

# With a light tail, events grow with the number of samples; with a heavy tail, hardly.
_EVENTS, _GROWTH = 56, 5.6

# The upper quantile grows from the normal quantile to this value between these skewnesses.
_WIDEST = 5.5
_SKEWNESSES = 0.1, 0.18

# At the minimum number of events intervals are longer by this fraction, which falls to zero this
# many standard deviations above the minimum.
_CAUTION, _MARGIN = 1.0, 3.0


@dataclasses.dataclass(frozen=True)
class Tail:
    """Heaviness of the tail of the samples' squared distances from their mean.

    Attributes:
        count: samples.
        events: effective events.
        error: the relative standard error of the variance.
        skewness: that of the mean of the squared distances.
    """

    count: int
    events: float
    error: float
    skewness: float

    @property
    def upwards(self) -> float:
        """The distance to the upper limit of the log variance, in standard errors."""
        low, high = _SKEWNESSES
        share = min(max((self.skewness - low) / (high - low), 0.0), 1.0)
        return quantile() + share * (_WIDEST - quantile())

    @property
    def unseen(self) -> float:
        """The factor by which the true variance may exceed the samples', beyond sampling error."""
        if not self.events:
            return 1.0
        return math.exp((self.upwards - quantile()) * self.error)

    @property
    def caution(self) -> float:
        """The factor that lengthens intervals: above one only near the minimum number of events.

        Near it a run may have an interval only because it had more events by chance.
        """
        if not self.events:
            return 1.0
        margin = (self.events - needed(self.count)) / math.sqrt(self.events)
        return 1 + _CAUTION * min(max(1 - margin / _MARGIN, 0.0), 1.0)

    @property
    def refusal(self) -> str:
        """Why there is no interval; empty if there is one."""
        if self.events >= needed(self.count):
            return ""
        # Samples per event; more if larger events are still to come.
        each = self.count / max(self.events, 1.0)
        least = max(_EVENTS * each, (_GROWTH * each) ** 1.5)
        return f"too few events: at least {_rounded(least):,} samples needed"


def needed(count: int) -> float:
    """Return the minimum number of effective events for an interval, given the sample count."""
    return max(_EVENTS, _GROWTH * count ** (1 / 3))


def tail(blocks: Blocks) -> Tail:
    """Return the tail of samples; it has no events if all are equal."""
    count, largest = blocks.count, float(blocks.powers[:, 0].max())
    if not largest > 0 or not math.isfinite(largest):
        return Tail(count, 0.0, math.inf, math.inf)
    over = blocks.powers[:, 0] / largest
    first = float(blocks.distances.sum()) / largest / count
    second = float(blocks.powers[:, 1] @ over**2) / count
    third = float(blocks.powers[:, 2] @ over**3) / count
    square = max(second - first**2, 0.0)
    cube = third - 3 * first * second + 2 * first**3
    variance = float(blocks.variance.sum()) / largest
    if not variance > 0:
        return Tail(count, 0.0, math.inf, math.inf)
    # A variance at its maximum, like a fair coin's, varies only to second order.
    error = math.sqrt((square / variance**2 + 2 / count) / count)
    skewness = cube / square**1.5 / math.sqrt(count) if square > 1e-9 * first**2 else 0.0
    return Tail(count, count / (1 + square / variance**2), error, skewness)


def _rounded(number: float) -> int:
    """Return a number rounded up to one significant digit."""
    power = 10 ** math.floor(math.log10(number))
    return int(math.ceil(number / power - 1e-9) * power)
