"""The test of an unbiased gradient."""

import math

from experiments.statistics.blocks import Blocks
from experiments.statistics.distance import Distance
from experiments.statistics.estimate import Estimate
from experiments.statistics.limits import caution, exact, refusal, unseen
from experiments.statistics.truth import Truth


def unbiased_p_value(blocks: Blocks, truth: Truth, found: Distance) -> Estimate:
    """Return the p-value of the hypothesis that the bias is zero.

    The probability of at least the squared distance between mean and truth that was observed, by
    the law that the interval of the squared bias inverts, with its allowance for unseen tails. What
    rounding leaves of the terms that cancel (`Truth.rounding`) is no bias. NaN if the squared bias
    has no interval.

    Args:
        blocks: the samples.
        truth: the true gradient.
        found: the distance of the samples' mean from the truth.
    """
    from scipy import special

    if refusal(blocks, truth) or not math.isfinite(found.squared_bias):
        return Estimate.refused(math.nan, "")
    if exact(blocks, truth) or not found.is_noisy:
        return Estimate.student(float(found.q <= found.rounding))
    laws = found, found.times(unseen(blocks, truth))
    chance = max(law.above(truth.rounding) for law in laws)
    score = float(-special.ndtri(chance)) / caution(blocks, truth)
    return Estimate.student(max(chance, float(special.ndtr(-score))))
