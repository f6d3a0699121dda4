"""The rounds of one figure in brief."""

import statistics
from collections.abc import Sequence

Summary = dict[str, float]
"""`median`, `min` and `max` over rounds, and how many `rounds` there were."""


def summarise(rounds: Sequence[float]) -> Summary:
    """Return the median and the extremes of a figure over rounds."""
    return {
        "median": statistics.median(rounds),
        "min": min(rounds),
        "max": max(rounds),
        "rounds": len(rounds),
    }


def ratios(ours: Sequence[float], theirs: Sequence[float], more_is_better: bool) -> list[float]:
    """Return how many times as fast as theirs each round of ours was, round by round.

    Both sides of a round are run one after the other, so what else the machine does slows both.
    """
    pairs = zip(ours, theirs, strict=True)
    return [one / other if more_is_better else other / one for one, other in pairs]
