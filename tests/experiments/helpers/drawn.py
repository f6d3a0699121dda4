"""Blocks of samples that numpy drew, where mean and covariance are known."""

import dataclasses

import numpy as np

from experiments import statistics
from experiments.statistics import Truth
from experiments.statistics.blocks import NUM_BLOCKS, Blocks


def blocks_of(samples, centre=None):
    """Return the blocks of `[n, P]` samples, summed in float64 about a centre near their mean."""
    samples = np.asarray(samples, np.float64)
    centre = np.zeros(samples.shape[1]) if centre is None else np.asarray(centre, np.float64)
    parts = samples.reshape(NUM_BLOCKS, -1, len(centre))
    lengths = np.linalg.norm(parts, axis=-1) * np.linalg.norm(centre)
    cosines = (parts @ centre / np.where(lengths > 0, lengths, 1)).sum(1)
    if np.sum((samples.mean(0) - centre) ** 2) > 0.05 * samples.var(0).sum():  # as a Sampler does
        centre = samples.mean(0)
    deviations = parts - centre
    powers = (deviations**2).sum(-1)
    largest = powers.max(-1, keepdims=True)
    powers = powers / np.where(largest > 0, largest, 1)
    return Blocks(
        centre,
        deviations.sum(1),
        (deviations**2).sum((0, 1)),
        (deviations**2).sum((1, 2)),
        cosines,
        np.stack([largest[:, 0], (powers**2).sum(-1), (powers**3).sum(-1)], -1),
        parts.shape[1],
    )


@dataclasses.dataclass(frozen=True)
class Law:
    """A normal law of gradients of a given spectrum, its widest direction along no axis.

    Attributes:
        spectrum: variances along the principal directions, the widest first.
        bias: length of the bias, in standard errors of the difference of mean and truth.
        direction: index of the principal direction that the bias points in.
        sampled: whether the truth is sampled too, with the same error as the mean.
        size: samples in a block.
    """

    spectrum: np.ndarray
    bias: float = 0.0
    direction: int = 0
    sampled: bool = False
    size: int = 16

    @property
    def error(self):
        """Expected squared distance of the mean from the truth where there is no bias."""
        return self.spectrum.sum() / (NUM_BLOCKS * self.size) * (2 if self.sampled else 1)

    @property
    def squared_bias(self):
        return self.bias**2 * self.error

    @property
    def true_gradient(self):
        return np.linspace(1, 2, len(self.spectrum))

    @property
    def mean(self):
        offset = np.zeros(len(self.spectrum))
        offset[self.direction] = np.sqrt(self.squared_bias)
        return self.true_gradient + self._turned(offset)

    def _turned(self, vectors):
        # A reflection, so that no principal direction is an axis.
        normal = np.ones(len(self.spectrum)) / np.sqrt(len(self.spectrum))
        normal[0] += 1
        normal /= np.linalg.norm(normal)
        return vectors - 2 * (vectors @ normal)[..., None] * normal

    def blocks(self, rng, mean=None):
        shape = NUM_BLOCKS * self.size, len(self.spectrum)
        noise = self._turned(rng.normal(size=shape) * np.sqrt(self.spectrum))
        centre = self.true_gradient
        return blocks_of(noise + (self.mean if mean is None else mean), centre)

    def truth(self, rng):
        if not self.sampled:
            return Truth(self.true_gradient)
        blocks = self.blocks(rng, self.true_gradient)
        return Truth(blocks.mean, blocks)


def mean_squared_error(blocks, truth):
    """Return the mean squared error of samples, from their squared bias and variance."""
    parts = statistics.squared_bias(blocks, truth), statistics.variance(blocks, truth)
    return statistics.mean_squared_error(blocks, truth, *parts)
