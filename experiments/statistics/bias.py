"""The squared bias with its interval."""

import dataclasses
import math
from collections.abc import Callable

from scipy import optimize, stats

from experiments.measurement.moments import Blocks
from experiments.statistics.distance import Distance, distance
from experiments.statistics.estimate import LEVEL, Estimate, Truth, quantile
from experiments.statistics.limits import caution, exact, refusal, unseen


def squared_bias(blocks: Blocks, truth: Truth) -> Estimate:
    r"""Return the squared norm of the bias, $\delta^2 = |E m - t|^2$, with both errors subtracted.

    The estimate is $Q - \mathrm{tr} C$ with $Q = |m - t|^2$ and $C = S / n + S' / n'$: unbiased, so
    it may be negative. The interval inverts the law of Q (`Distance`). Its low end is zero where
    the bias cannot be told from zero. Its high end takes Q for no less than tr C: a mean that
    happens to fall on the truth does not exclude what the samples cannot see.
    """
    found = distance(blocks, truth)
    if not math.isfinite(found.squared_bias):
        return Estimate.refused(math.nan, refusal(blocks, truth))
    if why := refusal(blocks, truth):
        return Estimate.refused(found.squared_bias, why)
    if exact(blocks, truth) or (not found.is_noisy and found.q <= found.rounding):
        return Estimate(0.0, 0.0, 0.0)
    level = 1 - 2 * float(stats.norm.sf(caution(blocks, truth) * quantile()))
    return Estimate(found.squared_bias, *ends(found, unseen(blocks, truth), level))


def ends(found: Distance, unseen: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends of the interval of the squared bias, or of any squared length.

    Args:
        found: the squared length and its law.
        unseen: the factor by which its noise may exceed what the samples show.
        level: of the interval.
    """
    if not found.is_noisy:
        # As far as float32 can say.
        length, error = math.sqrt(found.q), math.sqrt(found.rounding)
        return max(length - error, 0.0) ** 2, (length + error) ** 2
    above, wide = (1 - level) / 2, found.times(unseen)
    low = _root(wide.below, 1 - above, found.q)
    # More noise explains more of Q in many coordinates, less of it in few.
    high = [
        _root(dataclasses.replace(law, q=max(law.q, law.trace)).below, above, found.q)
        for law in {found, wide}
    ]
    return low, max(high)


def _root(probability: Callable[[float], float], level: float, scale: float) -> float:
    """Return the bias at which a falling probability passes a level; zero if it starts below."""
    if probability(0.0) <= level:
        return 0.0
    high = scale or 1.0
    while probability(high) > level:
        high *= 2
    solution = optimize.root_scalar(
        lambda bias: probability(bias) - level, bracket=(0.0, high), xtol=1e-9 * high
    )
    return float(solution.root)
