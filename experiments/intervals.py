"""What the sums of the blocks say of an estimator: bias, variance, error, cosine, with intervals.

Notation: n gradient samples of mean m and covariance S (P x P, never formed), truth t. The truth
may itself be the mean of n' samples of covariance S'.
"""

import dataclasses
import math

import numpy as np
from scipy import optimize, stats

from experiments.moments import Blocks

LEVEL = 0.95

# A difference this small against the gradients is float32's rounding, not bias.
_ROUNDING = 64 * np.finfo(np.float32).eps


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Truth:
    """The true gradient: exact, or a long run of an unbiased estimator on other keys."""

    mean: np.ndarray
    blocks: Blocks | None = None

    @property
    def error(self) -> float:
        """Expected squared error of the truth: zero where it is exact."""
        return 0.0 if self.blocks is None else self.blocks.variance.sum() / self.blocks.count


def mean(blocks: Blocks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean gradient and the ends of its coordinates' normal intervals, each `[P]`."""
    half = _quantile() * np.sqrt(blocks.variance / blocks.count)
    return blocks.mean, blocks.mean - half, blocks.mean + half


def sample_mean(values: np.ndarray) -> Estimate:
    """Return the mean of values with Student's interval; of one alone there is none."""
    average, count = float(values.mean()), len(values)
    if count < 2:
        return Estimate(average, math.nan, math.nan)
    half = _quantile(count - 1) * float(values.std(ddof=1)) / math.sqrt(count)
    return Estimate(average, average - half, average + half)


def variance(blocks: Blocks) -> Estimate:
    """Return the trace of the covariance of one gradient, tr S.

    The interval is the jackknife's over blocks, of its logarithm: a variance is skewed.
    """

    def trace(count, sums, squares):
        return (squares - np.sum(sums**2, -1) / count) / (count - 1)

    def statistic(blocks_left_out):
        return np.log(np.maximum(blocks_left_out, np.finfo(float).tiny))

    total = blocks.distances.sum()
    value = float(trace(blocks.count, blocks.total, total))
    # Squares about the centre were summed in float32: what is left below this is rounding.
    if value <= _ROUNDING * float(
        blocks.offset @ blocks.offset + _ROUNDING * blocks.mean @ blocks.mean
    ):
        return Estimate(0.0, 0.0, 0.0)
    without = trace(
        blocks.count - blocks.size,
        blocks.total - blocks.sums,
        total - blocks.distances,
    )
    spread = _jackknife(statistic(without))
    return Estimate(value, value * math.exp(-spread), value * math.exp(spread))


def squared_bias(blocks: Blocks, truth: Truth) -> Estimate:
    r"""Return the squared norm of the bias, $\delta^2 = |E m - t|^2$, with both errors subtracted.

    The estimate is $Q - \mathrm{tr} C$ with $Q = |m - t|^2$ and $C = S / n + S' / n'$: unbiased, so
    it may be negative. The interval inverts the law of Q, a scaled noncentral chi-square whose mean
    and variance match, $E Q = \delta^2 + \mathrm{tr} C$ and $V Q = 2\, \mathrm{tr} C^2 + 4\,
    \delta^\top C \delta$. Its low end is zero where the bias cannot be told from zero. Its high end
    takes Q for no less than tr C: a mean that happens to fall on the truth does not exclude what
    the samples cannot see.
    """
    difference = blocks.mean - truth.mean
    q, noise = float(difference @ difference), _noise(blocks, truth)
    rounding = _rounding(blocks, truth)
    if not math.isfinite(q):
        return Estimate(math.nan, math.nan, math.nan)
    if noise.trace <= rounding:
        # Without noise, as far as float32 can say.
        if q <= rounding:
            return Estimate(0.0, 0.0, 0.0)
        length, error = math.sqrt(q), math.sqrt(rounding)
        return Estimate(q - noise.trace, (length - error) ** 2, (length + error) ** 2)
    along = noise.along(difference)

    def end(q: float, level: float) -> float:
        """Return the bias at which P(Q <= q), which falls as the bias grows, is the level."""

        def probability(bias: float) -> float:
            scale = (2 * noise.trace_square + 4 * bias * along) / (2 * noise.trace + 4 * bias)
            return float(_noncentral(q / scale, noise.trace / scale, bias / scale))

        return _root(probability, level, q)

    above = (1 - LEVEL) / 2
    return Estimate(q - noise.trace, end(q, 1 - above), end(max(q, noise.trace), above))


def mean_squared_error(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the mean squared distance of one gradient to the truth, squared bias + variance.

    The interval is the jackknife's over blocks, those of the truth as well, of its logarithm.
    """
    about = blocks.centre - truth.mean
    # |g - t|^2 = |g - c|^2 + 2 (g - c).(c - t) + |c - t|^2, block by block.
    sums = blocks.distances + 2 * blocks.sums @ about
    each = sums / blocks.size + about @ about - truth.error
    value = float(each.mean())
    without = (each.sum() - each) / (len(each) - 1)
    if _rounding(blocks, truth) >= value >= 0:
        return Estimate(0.0, 0.0, 0.0)
    runs = [without]
    if truth.blocks is not None:
        # The estimate is |m - t|^2 plus what does not depend on t.
        distances = np.sum((blocks.mean - _without_one(truth.blocks)) ** 2, -1)
        runs.append(value + distances - np.sum((blocks.mean - truth.mean) ** 2))
    if value <= 0 or any(np.any(run <= 0) for run in runs):
        return Estimate(value, math.nan, math.nan)
    spread = math.hypot(*(_jackknife(np.log(run)) for run in runs))
    return Estimate(value, value * math.exp(-spread), value * math.exp(spread))


def cosine_of_mean(blocks: Blocks, truth: Truth) -> Estimate:
    """Return the cosine between the expected gradient and the truth.

    Noise turns any mean away from the truth. The jackknife subtracts that to first order and gives
    the interval, which is rough where the cosine cannot be told from one.
    """
    value = float(_cosine(blocks.mean, truth.mean))
    runs = [_cosine(_without_one(blocks), truth.mean)]
    if truth.blocks is not None:
        runs.append(_cosine(_without_one(truth.blocks), blocks.mean))
    spread = math.hypot(*map(_jackknife, runs))
    value += sum((len(run) - 1) * (value - float(run.mean())) for run in runs)
    value, low, high = np.clip((value, value - spread, value + spread), -1, 1)
    return Estimate(float(value), float(low), float(high))


def cosine_per_sample(blocks: Blocks) -> Estimate:
    """Return the mean cosine between one gradient and the centre of the samples."""
    each = blocks.cosines / blocks.size
    half = _quantile(len(each) - 1) * each.std(ddof=1) / math.sqrt(len(each))
    value = float(each.mean())
    # Sums in float32 may pass one by a rounding.
    value, low, high = np.clip((value, value - half, value + half), -1, 1)
    return Estimate(float(value), float(low), float(high))


def seconds(blocks: Blocks) -> Estimate:
    """Return the median time per gradient; the interval is that of the median over rounds."""
    ordered = np.sort(blocks.seconds)
    # Order statistics that hold the median with at least 95%, or all there are.
    rank = int(stats.binom.ppf((1 - LEVEL) / 2, len(ordered), 0.5))
    low, high = ordered[max(rank - 1, 0)], ordered[min(len(ordered) - rank, len(ordered) - 1)]
    return Estimate(float(np.median(ordered)), float(low), float(high))


def equal_cost_error(blocks: Blocks, truth: Truth, evaluations: int, budget: float) -> Estimate:
    """Return the error at a budget of evaluations of f.

    That is squared bias + variance x evaluations / budget. Its interval adds the intervals of its
    two parts.
    """
    bias, spread, share = squared_bias(blocks, truth), variance(blocks), evaluations / budget
    return Estimate(
        max(bias.value, 0.0) + share * spread.value,
        bias.low + share * spread.low,
        bias.high + share * spread.high,
    )


@dataclasses.dataclass(frozen=True)
class _Noise:
    """The covariance C of m - t: its trace, its square's, its size along a direction."""

    trace: float
    trace_square: float
    deviations: list[np.ndarray]

    def along(self, direction: np.ndarray) -> float:
        """Return an upper estimate of the variance along the direction that was observed.

        With d = delta + xi, |C^1/2 delta| <= |C^1/2 d| + |C^1/2 xi|, and E |C^1/2 xi|^2 = tr C^2,
        whose root is above every eigenvalue of C.
        """
        square = float(direction @ direction)
        # Where one direction dominates, the root is a variance, seen in few blocks: its 95 % limit.
        degrees = min(map(len, self.deviations)) - 1
        limit = degrees / float(stats.chi2.ppf(1 - LEVEL, degrees))
        widest = min(math.sqrt(self.trace_square) * limit, self.trace)
        if not square:
            return widest
        # Blocks have R times the variance of the whole mean; so few of them ask for Student's
        # quantile.
        seen = sum(
            float(np.var(rows @ direction, ddof=1)) / len(rows) * _student_factor(len(rows) - 1)
            for rows in self.deviations
        )
        return min((math.sqrt(seen) + widest) ** 2 / square, widest)


def _noise(blocks: Blocks, truth: Truth) -> _Noise:
    runs = [blocks] if truth.blocks is None else [blocks, truth.blocks]
    traces = [float(run.variance.sum()) / run.count for run in runs]
    deviations = [(run.sums - run.size * run.offset) / run.size for run in runs]
    square = sum(_trace_square(rows, trace) for rows, trace in zip(deviations, traces, strict=True))
    if len(runs) == 2:
        square += 2 * _trace_product(*deviations)
    trace = sum(traces)
    # Between a spectrum that is flat and one that is a single direction.
    least = trace**2 / len(blocks.centre)
    return _Noise(trace, float(np.clip(square, least, trace**2)), deviations)


def _trace_square(deviations: np.ndarray, trace: float) -> float:
    """Return an estimate of tr C^2 from R block means less their mean, given tr C.

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


def _noncentral(x: float, degrees: float, noncentrality: float) -> float:
    """Return P(X <= x) of a noncentral chi-square; far out, its normal limit."""
    if degrees + noncentrality > 1e5:
        variance = 2 * (degrees + 2 * noncentrality)
        return float(stats.norm.cdf((x - degrees - noncentrality) / math.sqrt(variance)))
    if noncentrality == 0:
        return float(stats.chi2.cdf(x, degrees))
    return float(stats.ncx2.cdf(x, degrees, noncentrality))


def _root(probability, level: float, scale: float) -> float:
    """Return the bias at which a falling probability passes a level; zero if it starts below."""
    if probability(0.0) <= level:
        return 0.0
    high = scale
    while probability(high) > level:
        high *= 2
    solution = optimize.root_scalar(
        lambda bias: probability(bias) - level, bracket=(0.0, high), xtol=1e-9 * high
    )
    return float(solution.root)


def _rounding(blocks: Blocks, truth: Truth) -> float:
    """Return the squared error that float32 leaves in the difference of mean and truth."""
    larger = max(np.linalg.norm(blocks.mean), np.linalg.norm(truth.mean))
    return float((_ROUNDING * larger) ** 2)


def _cosine(vectors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(truth)
    return vectors @ truth / np.maximum(lengths, np.finfo(float).tiny)


def _without_one(blocks: Blocks) -> np.ndarray:
    """Return the mean gradient without each block, `[R, P]`."""
    return (blocks.total - blocks.sums) / (blocks.count - blocks.size) + blocks.centre


def _jackknife(without: np.ndarray) -> float:
    """Return the half width of the interval from a statistic's values with one block left out."""
    count = len(without)
    error = math.sqrt((count - 1) * float(np.var(without)))
    return _quantile(count - 1) * error


def _student_factor(degrees: float) -> float:
    return (_quantile(degrees) / _quantile()) ** 2


def _quantile(degrees: float = math.inf) -> float:
    tail = (1 + LEVEL) / 2
    return float(stats.norm.ppf(tail) if math.isinf(degrees) else stats.t.ppf(tail, degrees))
