"""Statistics of all samples and of those without one block, and the jackknife's error.

Arrays `[1 + R]` hold a statistic of all samples, then of those without each of R blocks.
"""

import math

import numpy as np

from experiments.statistics.blocks import Blocks
from experiments.statistics.truth import Truth


def sums(values: np.ndarray) -> np.ndarray:
    """Return the sum of values `[R, ...]` over blocks, then without each, `[1 + R, ...]`."""
    total = values.sum(0, dtype=np.float64)
    return np.concatenate([total[None], total - values])


def means(blocks: Blocks) -> np.ndarray:
    """Return the mean gradient, `[1 + R, P]`."""
    return sums(blocks.sums) / counts(blocks)[:, None] + blocks.centre


def traces(blocks: Blocks) -> np.ndarray:
    """Return the variance of one gradient, the trace of its covariance, `[1 + R]`."""
    spread = sums(blocks.distances) - np.sum(sums(blocks.sums) ** 2, -1) / counts(blocks)
    return np.maximum(spread, 0) / (counts(blocks) - 1)


def counts(blocks: Blocks) -> np.ndarray:
    """Return the number of samples, `[1 + R]`."""
    return blocks.size * sums(np.ones(len(blocks.sums)))


def error(statistic: np.ndarray) -> float:
    """Return the standard error of a statistic, from its values `[1 + R]`."""
    without = np.asarray(statistic[1:], float)
    return math.sqrt((len(without) - 1) * float(np.var(without)))


def corrected(statistic: np.ndarray) -> float:
    """Return a statistic with its bias subtracted to first order, from its values `[1 + R]`."""
    degrees = len(statistic) - 2
    return float(statistic[0] + degrees * (statistic[0] - np.mean(statistic[1:])))


def pseudo_values(statistic: np.ndarray) -> np.ndarray:
    """Return the pseudo-values of a statistic, `[R]`, from its values `[1 + R]`.

    Their mean estimates the statistic, and they scatter as independent values, one for each block.
    """
    count = len(statistic) - 1
    return count * statistic[0] - (count - 1) * np.asarray(statistic[1:], float)


def squared_biases(blocks: Blocks, truth: Truth) -> np.ndarray:
    """Return the unbiased estimate of the squared bias, `[1 + R]`."""
    apart = np.sum((means(blocks) - truth.mean) ** 2, -1)
    return apart - traces(blocks) / counts(blocks) - truth.error


def squared_errors(blocks: Blocks, truth: Truth) -> np.ndarray:
    """Return the mean squared distance of one gradient to the truth, `[1 + R]`."""
    about = blocks.centre - truth.mean
    # |g - t|^2 = |g - c|^2 + 2 (g - c).(c - t) + |c - t|^2, block by block.
    distances = blocks.distances + 2 * blocks.sums @ about
    each = distances / blocks.size + about @ about - truth.error
    return sums(each) / sums(np.ones(len(each)))
