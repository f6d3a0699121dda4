"""How many samples give intervals of a chosen length.

Pilot samples, drawn by keys of their own, decide how many samples are drawn; the intervals come
from the latter alone. Sampling until an interval is short would keep those that are short by
chance, and these miss the true value too often.
"""

import math
from collections.abc import Callable, Sequence

from experiments.measurement.rows import Row

MOST_SAMPLES = 2**20
"""Default of the most samples that a precision may take."""

_METRICS = ("variance", "equal_cost_error")
# More than the pilot asks for, whose interval may be short by chance.
_MARGIN = 1.2
_GROWTH = 8


def relative_length(row: Row) -> float:
    """Return the longer side of a row's interval relative to its value; infinite without one.

    It is zero for a value of zero: no number of samples makes it longer than its interval.
    """
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    longer = max(value - low, high - value)
    if math.isnan(longer):
        return math.inf
    return longer / value if value > 0 else 0.0


def needed_samples(
    pilot: Callable[[int, int], Sequence[Sequence[Row]]],
    precision: float,
    least: int,
    most: int,
) -> tuple[int, bool]:
    """Return how many samples give the variance and the error at equal cost a relative precision.

    An interval's length falls with the root of the number of samples. That of a squared bias falls
    faster, so a pilot foresees at most eight times its number of samples; else the next is larger.

    Args:
        pilot: draws pilot samples, given the pilot's number from zero and how many; returns the
            rows of each estimator that is measured.
        precision: the longer side of an interval, relative to its value.
        least: the least number of samples, and that of the first pilot.
        most: the most samples.

    Returns:
        The number of samples, and whether more are needed than are allowed.
    """
    count, number = least, 0
    while True:
        rows = [row for one in pilot(number, count) for row in one if row["metric"] in _METRICS]
        longest = max(map(relative_length, rows), default=0.0)
        needed = _MARGIN * count * (longest / precision) ** 2
        if needed <= _GROWTH * count or count >= most:
            return (most, True) if needed > most else (max(math.ceil(needed), least), False)
        count, number = min(_GROWTH * count, most), number + 1
