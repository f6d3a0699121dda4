"""Statistics of result tables: what figures over seeds say together."""

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
