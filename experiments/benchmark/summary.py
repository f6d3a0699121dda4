"""Summaries of rounds."""

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
    """Return the speed of ours over theirs, round by round.

    The two sides of a round run one after the other, so other load slows both.
    """
    pairs = zip(ours, theirs, strict=True)
    return [one / other if more_is_better else other / one for one, other in pairs]
