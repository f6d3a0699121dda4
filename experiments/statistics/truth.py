"""The true gradient that samples are compared with."""

import dataclasses

import numpy as np

from experiments.statistics.blocks import Blocks


@dataclasses.dataclass(frozen=True)
class Truth:
    """The true gradient: exact, or a long run of an unbiased estimator with other keys.

    Attributes:
        mean: `[P]`.
        blocks: the samples of the long run; None if the gradient is exact.
    """

    mean: np.ndarray
    blocks: Blocks | None = None

    @property
    def error(self) -> float:
        """Expected squared error: zero if the gradient is exact."""
        return 0.0 if self.blocks is None else self.blocks.variance.sum() / self.blocks.count
