"""Cosines to the true gradient, with their intervals."""

import math

import numpy as np

from experiments.intervals import jackknife
from experiments.intervals.estimate import Estimate, Truth, quantile
from experiments.moments import Blocks


def cosine_of_mean(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the cosine between the expected gradient and the truth.

    Noise turns any mean away from the truth. The jackknife subtracts that to first order and gives
    the interval, which is rough where the cosine cannot be told from one.
    """
    runs = [cosines(jackknife.means(blocks), truth.mean)]
    if truth.blocks is not None:
        runs.append(cosines(jackknife.means(truth.blocks), blocks.mean))
    spread = math.hypot(*(quantile(len(run) - 2) * jackknife.error(run) for run in runs))
    value = sum(map(jackknife.corrected, runs)) - (len(runs) - 1) * float(runs[0][0])
    value, low, high = np.clip((value, value - spread, value + spread), -1, 1)
    return Estimate(float(value), float(low), float(high))


def cosine_per_sample(blocks: Blocks) -> Estimate:
    """Return the mean cosine between one gradient and the centre of the samples."""
    each = blocks.cosines / blocks.size
    half = quantile(len(each) - 1) * each.std(ddof=1) / math.sqrt(len(each))
    value = float(each.mean())
    # Sums in float32 may pass one by a rounding.
    value, low, high = np.clip((value, value - half, value + half), -1, 1)
    return Estimate(float(value), float(low), float(high))


def cosines(vectors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the cosines of vectors `[..., P]` to the truth; zero where either has no length."""
    lengths = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(truth)
    return vectors @ truth / np.maximum(lengths, np.finfo(float).tiny)
