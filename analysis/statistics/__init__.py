"""Statistics of results over seeds."""

from analysis.statistics.agreement import Agreement, rank_agreement
from analysis.statistics.seeds import Interval, interquartile_mean, mean, paired_difference

__all__ = [
    "Agreement",
    "Interval",
    "interquartile_mean",
    "mean",
    "paired_difference",
    "rank_agreement",
]
