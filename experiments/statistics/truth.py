"""The true gradient that samples are compared with."""

import dataclasses

import numpy as np

from experiments.statistics.blocks import Blocks

# Of the terms that cancel: f itself, a sum, is known to a few units in the last place.
_ROUNDING = 8 * float(np.finfo(np.float32).eps)


@dataclasses.dataclass(frozen=True)
class Truth:
    """The true gradient: exact, or a long run of an unbiased estimator with other keys.

    Attributes:
        mean: `[P]`.
        blocks: the samples of the long run; None if the gradient is exact.
        terms: root-mean-square length of a gradient f d log p, the terms that cancel in others;
            zero if unknown.
        lacking: why nothing is the true gradient, such as that of a rule without an expectation;
            empty if there is one. The mean then says nothing.
    """

    mean: np.ndarray
    blocks: Blocks | None = None
    terms: float = 0.0
    lacking: str = ""

    @property
    def error(self) -> float:
        """Expected squared error: zero if the gradient is exact."""
        return 0.0 if self.blocks is None else self.blocks.variance.sum() / self.blocks.count

    @property
    def rounding(self) -> float:
        """Squared length that float32's rounding of the terms may leave of a zero."""
        return (_ROUNDING * self.terms) ** 2
