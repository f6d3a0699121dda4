"""Cosines to the true gradient, with their intervals."""

import math

import numpy as np

from experiments.statistics.bias import ends
from experiments.statistics.blocks import Blocks
from experiments.statistics.distance import noisy, rounding
from experiments.statistics.estimate import LEVEL, Estimate, quantile
from experiments.statistics.limits import caution, refusal, unseen, without_direction
from experiments.statistics.means import sample_mean
from experiments.statistics.truth import Truth


def cosine_of_mean(blocks: Blocks, truth: Truth) -> Estimate:
    r"""Return the cosine between the expected gradient and the truth.

    With p the length of the expected gradient along the truth and w its perpendicular part, the
    cosine is $p / \sqrt{p^2 + |w|^2}$. Noise lengthens w: it is subtracted from the squared length,
    whose interval inverts the law of a squared bias. The intervals of p and |w| are combined, each
    at half of the error probability (Bonferroni), so the result is conservative.
    """
    from scipy import special

    norm = float(np.linalg.norm(truth.mean))
    if not np.isfinite(blocks.mean).all():
        return Estimate.refused(math.nan, "")
    if norm**2 <= truth.rounding:
        return Estimate.refused(math.nan, without_direction(blocks, truth))
    direction = truth.mean / norm
    along = float(blocks.mean @ direction)
    runs = [blocks.deviations]
    if truth.blocks is not None:
        # An error in the truth changes which part is perpendicular to it.
        runs.append(truth.blocks.deviations * along / norm)
    aside = [rows - np.outer(rows @ direction, direction) for rows in runs]
    # From block means only, since the variance of all samples includes noise along the truth.
    traces = [float(np.sum(rows**2)) / (len(rows) * (len(rows) - 1)) for rows in aside]
    vector = blocks.mean - along * direction
    across = noisy(vector, aside, traces, rounding(blocks, truth))
    value = _turned(along, across.squared_bias if across.is_noisy else across.q)
    if why := refusal(blocks, truth):
        return Estimate.refused(value, why)
    wide = unseen(blocks, truth)
    # The noise is estimated from blocks: Student's level for their number.
    score = caution(blocks, truth) * quantile(min(map(len, runs)) - 1, (1 + LEVEL) / 2)
    shortest, longest = ends(across, wide, 1 - 2 * float(special.ndtr(-score)))
    half = score * math.sqrt(wide * float(np.var(runs[0] @ direction, ddof=1)) / len(runs[0]))
    low, high = along - half, along + half
    return Estimate(
        value,
        min(_turned(low, shortest), _turned(low, longest), value),
        max(_turned(high, shortest), _turned(high, longest), value),
    )


def cosine_per_sample(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the mean cosine between one gradient and the truth; NaN if that is zero."""
    if float(truth.mean @ truth.mean) <= truth.rounding:
        return Estimate.refused(math.nan, without_direction(blocks, truth))
    found = sample_mean(blocks.cosines / blocks.size, caution(blocks, truth))
    # Sums in float32 may exceed one by a rounding error.
    value, low, high = np.clip((found.value, found.low, found.high), -1, 1).tolist()
    why = refusal(blocks, truth)
    return Estimate.refused(value, why) if why else Estimate(value, low, high)


def _turned(along: float, across: float) -> float:
    """Return the cosine from the length along the truth and the squared length across it."""
    length = along**2 + across
    # If the length does not exceed its noise, only the sign along the truth is known.
    return float(np.clip(along / math.sqrt(length), -1, 1) if length > 0 else np.sign(along))


def cosines(vectors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the cosines of vectors `[..., P]` to the truth; zero if either has no length."""
    lengths = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(truth)
    return vectors @ truth / np.maximum(lengths, np.finfo(float).tiny)
