r"""Whether samples have enough events for an interval, and how much of the tail they may not show.

Notation: d_i = |g_i - c|^2 of each of n samples, with mean v, variance s^2 and central third moment
k. Of rare events that are all alike, $n v^2 / (v^2 + s^2)$ is their number.

A variance that few large samples make up has no interval: those that were not drawn would change
it, and no statistic of the samples says by how much. Below `needed` effective events none is given.
Above, the skewness of v, $k / (s^3 \sqrt n)$, says how many standard errors further up the truth
may be: log-normal, Student's and rare gradients gave the numbers (tests/experiments/test_tails.py).
"""

import dataclasses
import math

from experiments.statistics.blocks import Blocks
from experiments.statistics.estimate import quantile

# More samples of a light tail have more events in proportion, of a heavy one hardly more.
_EVENTS, _GROWTH = 56, 5.6

# Upwards the normal quantile grows to this one between these two skewnesses.
_WIDEST = 5.5
_SKEWNESSES = 0.1, 0.18

# At the least number of events intervals are longer by this share; it falls to nothing this many
# standard deviations above it.
_CAUTION, _MARGIN = 1.0, 3.0


@dataclasses.dataclass(frozen=True)
class Tail:
    """How heavy the tail of the samples' squared distances from their mean is.

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
        """Return the standard errors, of the log variance, that its upper limit is above it."""
        low, high = _SKEWNESSES
        share = min(max((self.skewness - low) / (high - low), 0.0), 1.0)
        return quantile() + share * (_WIDEST - quantile())

    @property
    def unseen(self) -> float:
        """The factor by which the variance may exceed what the samples show, beyond chance."""
        if not self.events:
            return 1.0
        return math.exp((self.upwards - quantile()) * self.error)

    @property
    def caution(self) -> float:
        """The factor that lengthens intervals: above one only near the least number of events.

        There some runs have an interval because chance brought them more events than others.
        """
        if not self.events:
            return 1.0
        margin = (self.events - needed(self.count)) / math.sqrt(self.events)
        return 1 + _CAUTION * min(max(1 - margin / _MARGIN, 0.0), 1.0)

    @property
    def refusal(self) -> str:
        """Why there is no interval; empty where there is one."""
        if self.events >= needed(self.count):
            return ""
        # Events come at this rate or, where larger ones are still to come, at a lower one.
        each = self.count / max(self.events, 1.0)
        least = max(_EVENTS * each, (_GROWTH * each) ** 1.5)
        return f"too few events: at least {_rounded(least):,} samples needed"


def needed(count: int) -> float:
    """Return the least effective events, of so many samples, that allow an interval."""
    return max(_EVENTS, _GROWTH * count ** (1 / 3))


def tail(blocks: Blocks) -> Tail:
    """Return how heavy the tail of samples is; no event where all are alike."""
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
    # A variance at its largest, as that of a fair coin, varies to second order only.
    error = math.sqrt((square / variance**2 + 2 / count) / count)
    skewness = cube / square**1.5 / math.sqrt(count) if square > 1e-9 * first**2 else 0.0
    return Tail(count, count / (1 + square / variance**2), error, skewness)


def _rounded(number: float) -> int:
    """Round up to one significant digit."""
    power = 10 ** math.floor(math.log10(number))
    return int(math.ceil(number / power - 1e-9) * power)
