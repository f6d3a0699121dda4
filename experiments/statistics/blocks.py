"""Sums over blocks of gradient samples: the only data kept from a measurement."""

import dataclasses
import functools

import numpy as np

NUM_BLOCKS = 32
"""Blocks per measurement: enough for intervals, few enough to keep their sums."""


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Sums over blocks of gradient samples, about a centre; P coordinates, R blocks of b samples.

    Attributes:
        centre: `[P]`, the vector subtracted from every sample: the truth, or a mean of samples.
        sums: `[R, P]`, sums of (g - centre) over each block, in the gradients' own precision.
        squares: `[P]`, sums of (g - centre) squared over all samples.
        distances: `[R]`, sums of |g - centre|^2 over each block.
        cosines: `[R]`, sums of the cosines between g and the truth; nan without one.
        powers: `[R, 3]`: the largest |g - centre|^2 of each block, and the sums of squares and
            cubes of all, divided by the largest.
        size: b.
    """

    centre: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    distances: np.ndarray
    cosines: np.ndarray
    powers: np.ndarray
    size: int

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.size * len(self.sums)

    @functools.cached_property
    def total(self) -> np.ndarray:
        """Sum of (g - centre) over all samples, `[P]`."""
        return self.sums.sum(0, dtype=np.float64)

    @functools.cached_property
    def offset(self) -> np.ndarray:
        """Mean minus the centre, `[P]`."""
        return self.total / self.count

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """Mean gradient, `[P]`."""
        return self.centre + self.offset

    @property
    def means(self) -> np.ndarray:
        """Mean gradient of each block, `[R, P]`."""
        return self.centre + self.sums / self.size

    @property
    def deviations(self) -> np.ndarray:
        """Mean gradient of each block minus the overall mean, `[R, P]`."""
        return (self.sums - self.size * self.offset) / self.size

    @functools.cached_property
    def variance(self) -> np.ndarray:
        """Unbiased variance of each coordinate of one gradient, `[P]`."""
        spread = self.squares - self.count * self.offset**2
        return np.maximum(spread, 0) / (self.count - 1)
