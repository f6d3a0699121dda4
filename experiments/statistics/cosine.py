"""Cosines to the true gradient, with their intervals."""

import math

import numpy as np
from scipy import stats

from experiments.measurement.moments import Blocks
from experiments.statistics.bias import ends
from experiments.statistics.distance import noisy, rounding
from experiments.statistics.estimate import LEVEL, Estimate, Truth, quantile
from experiments.statistics.limits import caution, refusal, unseen, without_direction


def cosine_of_mean(blocks: Blocks, truth: Truth) -> Estimate:
    r"""Return the cosine between the expected gradient and the truth.

    With p the length of the expected gradient along the truth and w what is perpendicular to it,
    it is $p / \sqrt{p^2 + |w|^2}$. Noise makes any w longer: of its squared length the noise is
    subtracted, and the interval inverts its law, as that of a squared bias. The ends take those of
    p and of w together, each at half of the error (Bonferroni), so they are on the safe side.
    """
    norm = float(np.linalg.norm(truth.mean))
    if not np.isfinite(blocks.mean).all():
        return Estimate(math.nan, math.nan, math.nan)
    if not norm:
        return Estimate.refused(math.nan, without_direction(blocks, truth))
    direction = truth.mean / norm
    along = float(blocks.mean @ direction)
    runs = [blocks.deviations]
    if truth.blocks is not None:
        # An error of the truth turns what is perpendicular to it.
        runs.append(truth.blocks.deviations * along / norm)
    aside = [rows - np.outer(rows @ direction, direction) for rows in runs]
    # Not from all samples: noise along the truth would drown it.
    traces = [float(np.sum(rows**2)) / (len(rows) * (len(rows) - 1)) for rows in aside]
    vector = blocks.mean - along * direction
    across = noisy(vector, aside, traces, rounding(blocks, truth))
    value = _turned(along, across.squared_bias if across.is_noisy else across.q)
    if why := refusal(blocks, truth):
        return Estimate.refused(value, why)
    wide = unseen(blocks, truth)
    # Blocks tell the noise: Student's level for so many.
    score = caution(blocks, truth) * float(stats.t.ppf((3 + LEVEL) / 4, min(map(len, runs)) - 1))
    shortest, longest = ends(across, wide, 1 - 2 * float(stats.norm.sf(score)))
    half = score * math.sqrt(wide * float(np.var(runs[0] @ direction, ddof=1)) / len(runs[0]))
    low, high = along - half, along + half
    return Estimate(
        value,
        min(_turned(low, shortest), _turned(low, longest), value),
        max(_turned(high, shortest), _turned(high, longest), value),
    )


def cosine_per_sample(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the mean cosine between one gradient and the truth; NaN where that is zero."""
    if not truth.mean.any():
        return Estimate.refused(math.nan, without_direction(blocks, truth))
    each = blocks.cosines / blocks.size
    longer = caution(blocks, truth)
    half = longer * quantile(len(each) - 1) * each.std(ddof=1) / math.sqrt(len(each))
    # Sums in float32 may pass one by a rounding.
    value, low, high = map(
        float, np.clip((each.mean(), each.mean() - half, each.mean() + half), -1, 1)
    )
    if why := refusal(blocks, truth):
        return Estimate.refused(value, why)
    return Estimate(value, low, high)


def _turned(along: float, across: float) -> float:
    """Return the cosine from the length along and the squared length across; at most one."""
    length = along**2 + across
    # Of a length that is not above its noise, the direction; of none, as a sample's.
    return float(np.clip(along / math.sqrt(length), -1, 1) if length > 0 else np.sign(along))


def cosines(vectors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the cosines of vectors `[..., P]` to the truth; zero where either has no length."""
    lengths = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(truth)
    return vectors @ truth / np.maximum(lengths, np.finfo(float).tiny)
