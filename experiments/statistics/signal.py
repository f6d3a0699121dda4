"""The signal-to-noise ratio with its interval."""

import math

import numpy as np

from experiments.statistics.blocks import Blocks
from experiments.statistics.distance import Distance
from experiments.statistics.estimate import Estimate, quantile
from experiments.statistics.limits import caution, refusal
from experiments.statistics.truth import Truth


def signal_to_noise(blocks: Blocks, truth: Truth, found: Distance, spread: Estimate) -> Estimate:
    r"""Return $|E g| / \sqrt{\mathrm{tr} S}$, the expected gradient's norm over its noise.

    The noise of the mean m is subtracted from its squared norm: $|m|^2 - \mathrm{tr} S / n$, with
    Student's interval for its variance $2\, \mathrm{tr} C^2 + 4\, m^\top C m$, C being the
    covariance of m. The ends of the intervals of norm and variance are combined, so the interval is
    conservative. Without variance there is no ratio.

    Args:
        blocks: the samples.
        truth: the true gradient.
        found: the distance of the samples' mean from the truth.
        spread: the variance of one gradient.
    """
    mean, rows = blocks.mean, len(blocks.sums)
    square = float(mean @ mean)
    if not spread.value > 0 or not math.isfinite(square):
        return Estimate.refused(math.nan, "")
    signal = max(square - spread.value / blocks.count, 0.0)
    value = math.sqrt(signal / spread.value)
    if (why := refusal(blocks, truth)) or not spread.low > 0:
        return Estimate.refused(value, why)
    # The means of the blocks along their own mean: times its norm, and R times as variable.
    along = float(np.var(blocks.sums @ mean.astype(blocks.sums.dtype), ddof=1)) / blocks.size**2
    error = math.sqrt(2 * found.trace_square + 4 * along / rows)
    half = caution(blocks, truth) * quantile(rows - 1) * error
    low = math.sqrt(max(signal - half, 0.0) / spread.high)
    return Estimate(value, low, math.sqrt((signal + half) / spread.low))
