"""The squared bias with its interval."""

import dataclasses
import math
from collections.abc import Callable

from experiments.statistics.blocks import Blocks
from experiments.statistics.distance import Distance, distance
from experiments.statistics.estimate import LEVEL, Estimate, quantile
from experiments.statistics.limits import caution, exact, refusal, unseen
from experiments.statistics.truth import Truth


def squared_bias(blocks: Blocks, truth: Truth, found: Distance | None = None) -> Estimate:
    r"""Return the squared norm of the bias, $\delta^2 = |E m - t|^2$, with both errors subtracted.

    The estimate is $Q - \mathrm{tr} C$ with $Q = |m - t|^2$ and $C = S / n + S' / n'$: unbiased, so
    it may be negative. The interval inverts the distribution of Q (`Distance`). Its low end is zero
    if the bias is not distinguishable from zero, or from what rounding leaves of the terms that
    cancel (`Truth.rounding`). Its high end uses max(Q, tr C): a sample mean that
    happens to equal the truth does not rule out a bias below the noise.

    Args:
        blocks: the samples.
        truth: the true gradient.
        found: the distance of the samples' mean from the truth, if known.
    """
    from scipy import special

    found = found or distance(blocks, truth)
    if (why := refusal(blocks, truth)) or not math.isfinite(found.squared_bias):
        return Estimate.refused(found.squared_bias, why)
    if exact(blocks, truth) or (not found.is_noisy and found.q <= found.rounding):
        return Estimate.student(0.0)
    level = 1 - 2 * float(special.ndtr(-caution(blocks, truth) * quantile()))
    low, high = ends(found, unseen(blocks, truth), level)
    return Estimate(found.squared_bias, low if low > truth.rounding else 0.0, high)


def ends(found: Distance, unseen: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends of the interval of the squared bias, or of any squared length.

    Args:
        found: the squared length and its distribution.
        unseen: the factor by which the noise may exceed the sampled noise.
        level: the confidence level.
    """
    if not found.is_noisy:
        # Only float32 rounding remains.
        length, error = math.sqrt(found.q), math.sqrt(found.rounding)
        return max(length - error, 0.0) ** 2, (length + error) ** 2
    above, wide = (1 - level) / 2, found.times(unseen)
    low = _root(wide.below, 1 - above, found.q)
    # More noise explains more of Q if there are many coordinates, and less if there are few.
    high = [
        _root(dataclasses.replace(law, q=max(law.q, law.trace)).below, above, found.q)
        for law in {found, wide}
    ]
    return low, max(high)


def _root(probability: Callable[[float], float], level: float, scale: float) -> float:
    """Return the squared bias, at least zero, at which a falling probability reaches a level."""
    if probability(0.0) <= level:
        return 0.0
    high = scale or 1.0
    while probability(high) > level:
        high *= 2
    # Bisection: importing scipy.optimize takes longer than all roots of a comparison.
    low = 0.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) > level else (low, middle)
    return (low + high) / 2
