"""The squared bias with its interval."""

import dataclasses
import math
from collections.abc import Callable

from scipy import optimize

from experiments.intervals.distance import distance
from experiments.intervals.estimate import LEVEL, Estimate, Truth
from experiments.moments import Blocks


def squared_bias(blocks: Blocks, truth: Truth) -> Estimate:
    r"""Return the squared norm of the bias, $\delta^2 = |E m - t|^2$, with both errors subtracted.

    The estimate is $Q - \mathrm{tr} C$ with $Q = |m - t|^2$ and $C = S / n + S' / n'$: unbiased, so
    it may be negative. The interval inverts the law of Q (`Distance`). Its low end is zero where
    the bias cannot be told from zero. Its high end takes Q for no less than tr C: a mean that
    happens to fall on the truth does not exclude what the samples cannot see.
    """
    found = distance(blocks, truth)
    if not math.isfinite(found.q):
        return Estimate(math.nan, math.nan, math.nan)
    if not found.is_noisy:
        # As far as float32 can say.
        if found.q <= found.rounding:
            return Estimate(0.0, 0.0, 0.0)
        length, error = math.sqrt(found.q), math.sqrt(found.rounding)
        return Estimate(found.squared_bias, (length - error) ** 2, (length + error) ** 2)
    above = (1 - LEVEL) / 2
    seen = dataclasses.replace(found, q=max(found.q, found.trace))
    return Estimate(
        found.squared_bias,
        _root(found.below, 1 - above, found.q),
        _root(seen.below, above, seen.q),
    )


def _root(probability: Callable[[float], float], level: float, scale: float) -> float:
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
