"""Quantities with standard errors, from gradient samples and from training runs."""

import math

import numpy as np
from scipy import stats

from experiments.claims.claim import Quantity
from experiments.intervals import Truth
from experiments.moments import Blocks


def mean(values: np.ndarray) -> Quantity:
    """Return the mean of independent values."""
    values = np.asarray(values, float)
    error = float(stats.sem(values))
    return Quantity(float(values.mean()), error, len(values) - 1)


def share(values: np.ndarray) -> Quantity:
    """Return the share of independent trials that succeeded; none or all still leave a doubt."""
    values = np.asarray(values, bool)
    count, part = len(values), float(values.mean())
    # Agresti and Coull: as if two more had succeeded and two had failed.
    padded = (values.sum() + 2) / (count + 4)
    return Quantity(part, math.sqrt(padded * (1 - padded) / (count + 4)))


def relative_bias(blocks: Blocks, truth: Truth) -> Quantity:
    """Return the bias over the norm of the true gradient, along the direction it seems to have.

    The first half of the samples shows the direction, the second is measured along it: an unbiased
    estimator's has mean zero, whatever the direction.

    Raises:
        ValueError: where the truth is not exact.
    """
    if truth.blocks is not None:
        raise ValueError("a bias against a sampled truth has that one's error too")
    means = (blocks.sums / blocks.size + blocks.centre - truth.mean).astype(float)
    first, second = np.split(means, 2)
    direction = first.mean(0)
    length = np.linalg.norm(direction)
    if not length:  # no estimate strays from the truth
        return Quantity(0.0)
    along = second @ direction / length
    return mean(along / np.linalg.norm(truth.mean))


def mean_difference(first: Blocks, second: Blocks, truth: Truth) -> Quantity:
    """Return how far two means lie apart along the true gradient, over its norm.

    The samples share their noise, block by block.
    """
    apart = (first.sums + first.size * first.centre) / first.size
    apart = apart - (second.sums + second.size * second.centre) / second.size
    return mean(apart @ truth.mean / (truth.mean @ truth.mean))


def length_along(blocks: Blocks, truth: Truth) -> Quantity:
    """Return the length of the mean along the true gradient, over its norm: 1 where unbiased."""
    means = blocks.sums / blocks.size + blocks.centre
    return mean(means @ truth.mean / (truth.mean @ truth.mean))


def angle(blocks: Blocks, truth: Truth) -> Quantity:
    """Return 1 less the cosine between the mean and the true gradient, corrected for its noise."""
    without = (blocks.total - blocks.sums) / (blocks.count - blocks.size) + blocks.centre
    means = np.concatenate([blocks.mean[None], without])
    lengths = np.linalg.norm(means, axis=-1) * np.linalg.norm(truth.mean)
    found = jackknife(1 - means @ truth.mean / lengths)
    rest = 1 - without @ truth.mean / lengths[1:]
    # Noise turns any mean away: to first order the jackknife says how far.
    return found._replace(value=found.value + found.degrees * (found.value - float(rest.mean())))


def log_variance_ratio(first: Blocks, second: Blocks) -> Quantity:
    """Return the natural log of the ratio of variances, under common noise block by block."""
    return jackknife(np.log(traces(first) / traces(second)))


def jackknife(values: np.ndarray) -> Quantity:
    """Return a statistic with the jackknife's error, from its values `[1 + R]`.

    The first is that of all samples, the others are without one of R blocks.
    """
    rest = np.asarray(values[1:], float)
    error = math.sqrt((len(rest) - 1) * float(np.var(rest)))
    return Quantity(float(values[0]), error, len(rest) - 1)


def traces(blocks: Blocks) -> np.ndarray:
    """Return the variance of all samples, then of those without one block, `[1 + R]`."""
    total, distances = blocks.total, blocks.distances.sum()
    sums = np.concatenate([total[None], total - blocks.sums])
    squares = np.concatenate([[distances], distances - blocks.distances])
    counts = np.concatenate([[blocks.count], np.full(len(blocks.sums), blocks.count - blocks.size)])
    return (squares - np.sum(sums**2, -1) / counts) / (counts - 1)


def signal_to_noise(blocks: Blocks) -> np.ndarray:
    """Return the log of the squared mean over the variance, of all, then without one block."""
    spread = traces(blocks)
    without = (blocks.total - blocks.sums) / (blocks.count - blocks.size) + blocks.centre
    means = np.concatenate([blocks.mean[None], without])
    counts = np.concatenate([[blocks.count], np.full(len(without), blocks.count - blocks.size)])
    # The squared length of a sampled mean is too large by its own variance.
    return np.log((np.sum(means**2, -1) - spread / counts) / spread)


def errors(blocks: Blocks, truth: Truth) -> np.ndarray:
    """Return the mean squared error of all samples, then without one block, `[1 + R]`."""
    each = blocks.distances + 2 * blocks.sums @ (blocks.centre - truth.mean)
    each = each / blocks.size + np.sum((blocks.centre - truth.mean) ** 2)
    return np.concatenate([[each.mean()], (each.sum() - each) / (len(each) - 1)])


def relative_variance(blocks: Blocks, truth: Truth) -> Quantity:
    """Return the variance over the squared norm of the truth, where a theorem says it is none."""
    return Quantity(float(traces(blocks)[0] / (truth.mean @ truth.mean)))


def paired(first: np.ndarray, second: np.ndarray) -> Quantity:
    """Return the mean difference of runs that share their seeds; NaN where a run diverged."""
    return mean(np.asarray(first, float) - np.asarray(second, float))
