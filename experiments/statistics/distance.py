r"""The squared distance of a sampled mean from the truth, and its distribution at a given bias.

Notation: n gradient samples of mean m and covariance S (P x P, never formed), truth t, itself
perhaps the mean of n' samples of covariance S'; $C = S / n + S' / n'$, bias $\delta = E m - t$.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from experiments.statistics.blocks import Blocks
from experiments.statistics.estimate import LEVEL, quantile
from experiments.statistics.truth import Truth

# A relative difference below this is float32's rounding, not bias.
ROUNDING = 64 * float(np.finfo(np.float32).eps)
_NORMAL = 1e5  # degrees of freedom above which a chi-square is normal


@dataclasses.dataclass(frozen=True)
class Distance:
    r"""The squared distance $Q = |m - t|^2$, and what its distribution depends on besides the bias.

    The distribution is approximated by a scaled noncentral chi-square with the same mean and
    variance, $E Q = |\delta|^2 + \mathrm{tr} C$ and $V Q = 2\, \mathrm{tr} C^2 + 4\, \delta^\top C
    \delta$.

    Attributes:
        q: Q.
        trace: tr C.
        trace_square: tr C^2.
        along: an upper estimate of the variance along the bias, $\delta^\top C \delta /
            |\delta|^2$.
        rounding: the squared error due to float32 rounding.
    """

    q: float
    trace: float
    trace_square: float
    along: float
    rounding: float

    @property
    def squared_bias(self) -> float:
        """The unbiased estimate of the squared bias, Q - tr C; it may be negative."""
        return self.q - self.trace

    @property
    def is_noisy(self) -> bool:
        """Whether the samples vary by more than float32 rounding."""
        return self.trace > self.rounding

    def times(self, factor: float) -> "Distance":
        """Return the same distance with the noise multiplied by a factor."""
        noise = self.trace * factor, self.trace_square * factor**2, self.along * factor
        return Distance(self.q, *noise, self.rounding)

    def deviation(self, squared_bias: float) -> float:
        """Return the standard deviation of Q at a squared bias."""
        return math.sqrt(2 * self.trace_square + 4 * max(squared_bias, 0.0) * self.along)

    def below(self, squared_bias: float) -> float:
        """Return P(Q <= q) at a squared bias, a decreasing function of it."""
        from scipy import special  # scipy.stats is a hundred times slower

        x, degrees, shift = self._standard(squared_bias)
        if degrees + shift > _NORMAL:
            return float(special.ndtr(_score(x, degrees, shift)))
        return float(special.chndtr(x, degrees, shift) if shift else special.chdtr(degrees, x))

    def above(self, squared_bias: float) -> float:
        """Return P(Q >= q) at a squared bias."""
        from scipy import special

        x, degrees, shift = self._standard(squared_bias)
        if degrees + shift > _NORMAL:
            return float(special.ndtr(-_score(x, degrees, shift)))
        if not shift:
            return float(special.chdtrc(degrees, x))
        from scipy import stats  # takes a second to import

        return float(stats.ncx2.sf(x, degrees, shift))

    def _standard(self, squared_bias: float) -> tuple[float, float, float]:
        """Return q in units of the chi-square, its degrees of freedom and its noncentrality."""
        scale = self.deviation(squared_bias) ** 2 / (2 * self.trace + 4 * squared_bias)
        return self.q / scale, self.trace / scale, squared_bias / scale


def _score(x: float, degrees: float, shift: float) -> float:
    """Return the score of x in the normal limit of a noncentral chi-square."""
    return (x - degrees - shift) / math.sqrt(2 * (degrees + 2 * shift))


def distance(blocks: Blocks, truth: Truth) -> Distance:
    """Return the squared distance of the mean from the truth, and its noise."""
    runs = [blocks] if truth.blocks is None else [blocks, truth.blocks]
    traces = [float(run.variance.sum()) / run.count for run in runs]
    unknown = max(rounding(blocks, truth), truth.rounding)
    return noisy(blocks.mean - truth.mean, [run.deviations for run in runs], traces, unknown)


def noisy(
    vector: np.ndarray,
    deviations: Sequence[np.ndarray],
    traces: Sequence[float],
    rounding: float,
) -> Distance:
    """Return the squared length of a vector of independent noises.

    Args:
        vector: `[P]`.
        deviations: deviations of the block means of each noise from their mean, `[R, P]`.
        traces: traces of the covariance of each noise in the vector.
        rounding: the squared error due to float32 rounding.
    """
    square = sum(_trace_square(rows, trace) for rows, trace in zip(deviations, traces, strict=True))
    if len(deviations) == 2:
        square += 2 * _trace_product(*deviations)
    trace = sum(traces)
    # The bounds hold for a flat spectrum and for a single direction.
    square = float(np.clip(square, trace**2 / len(vector), trace**2))
    along = _along(vector, trace, square, deviations)
    return Distance(float(vector @ vector), trace, square, along, rounding)


def rounding(blocks: Blocks, truth: Truth) -> float:
    """Return the squared float32 rounding error in the difference of mean and truth."""
    larger = max(np.linalg.norm(blocks.mean), np.linalg.norm(truth.mean))
    return float((ROUNDING * larger) ** 2)


def _along(
    direction: np.ndarray, trace: float, trace_square: float, deviations: Sequence[np.ndarray]
) -> float:
    """Return an upper estimate of the variance along the direction that was observed.

    With d = delta + xi, |C^1/2 delta| <= |C^1/2 d| + |C^1/2 xi|, and E |C^1/2 xi|^2 = tr C^2, whose
    root is above every eigenvalue of C.
    """
    from scipy import special

    square = float(direction @ direction)
    # If one direction dominates, the root is a variance seen in few blocks: use its 95% limit.
    degrees = min(map(len, deviations)) - 1
    limit = degrees / float(special.chdtri(degrees, LEVEL))
    widest = min(math.sqrt(trace_square) * limit, trace)
    if not square:
        return widest
    # A block has R times the variance of the whole mean; few blocks require Student's quantile.
    seen = sum(
        float(np.var(rows @ direction, ddof=1)) / len(rows) * _student_factor(len(rows) - 1)
        for rows in deviations
    )
    return min((math.sqrt(seen) + widest) ** 2 / square, widest)


def _student_factor(degrees: float) -> float:
    return (quantile(degrees) / quantile()) ** 2


def _trace_square(deviations: np.ndarray, trace: float) -> float:
    """Return an estimate of tr C^2 from R centred block means, given tr C.

    Two centred block means u, v have covariances a B, a B and cross covariance -B / R, with a = 1 -
    1/R and B = R C, so E (u.v)^2 = (a^2 + 1 / R^2) tr B^2 + (tr B)^2 / R^2 for normal ones.
    """
    count = len(deviations)
    gram = deviations @ deviations.T
    pairs = gram[~np.eye(count, dtype=bool)]
    wide = (np.mean(pairs**2) - trace**2) / ((1 - 1 / count) ** 2 + 1 / count**2)
    return float(wide) / count**2


def _trace_product(first: np.ndarray, second: np.ndarray) -> float:
    """Return an estimate of tr C C' from the centred block means of two runs."""
    gram = first @ second.T
    shrink = (1 - 1 / len(first)) * (1 - 1 / len(second))
    return float(np.mean(gram**2)) / (shrink * len(first) * len(second))
