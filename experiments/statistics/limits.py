"""When samples give no interval: too few events, or noise below float32's resolution."""

import numpy as np

from experiments.statistics.blocks import Blocks
from experiments.statistics.distance import ROUNDING, rounding
from experiments.statistics.tails import Tail, tail
from experiments.statistics.truth import Truth

OVERFLOW = "squares of the gradients exceed the range of their type"
BELOW = "variance below float32's resolution"
_EPS = float(np.finfo(np.float32).eps)


def resolution(blocks: Blocks) -> float:
    """Return the variance of one gradient that is due to float32's rounding."""
    return float(ROUNDING**2 * (blocks.mean @ blocks.mean))


def alike(blocks: Blocks) -> bool:
    """Return whether all samples are equal."""
    return float(blocks.variance.sum()) <= 1e-3 * _EPS**2 * float(blocks.mean @ blocks.mean)


def exact(blocks: Blocks, truth: Truth) -> bool:
    """Return whether every sample equals the truth within float32's rounding.

    A sampled truth never counts as equal, since it may miss the same rare events.
    """
    apart = blocks.mean - truth.mean
    at_truth = float(apart @ apart) <= max(rounding(blocks, truth), truth.rounding)
    return truth.blocks is None and at_truth and alike(blocks)


def refusal(blocks: Blocks, truth: Truth) -> str:
    """Return why a statistic of samples and truth has no interval; empty if it has one."""
    if not np.isfinite(blocks.mean).all():
        broken = int((~np.isfinite(blocks.sums).all(1)).sum())
        return (
            f"gradients are not finite in {broken} of {len(blocks.sums)} blocks of {blocks.size} "
            "samples"
        )
    if exact(blocks, truth):
        return ""
    if alike(blocks):
        return _alike(blocks, "samples")
    if not np.isfinite(blocks.variance).all():
        return OVERFLOW
    if float(blocks.variance.sum()) > resolution(blocks) and (why := tail(blocks).refusal):
        return why
    if truth.blocks is None:
        return ""
    if alike(truth.blocks):
        return _alike(truth.blocks, "samples of the true gradient")
    why = tail(truth.blocks).refusal
    return f"the true gradient has {why}" if why else ""


def without_direction(blocks: Blocks, truth: Truth) -> str:
    """Return why there is no cosine to a true gradient of length zero, up to rounding."""
    zero = "is not distinguishable from zero"
    if truth.blocks is None:
        zero = "is zero up to rounding" if truth.mean.any() else "is zero"
    return refusal(blocks, truth) or f"the true gradient {zero}"


def _alike(blocks: Blocks, what: str) -> str:
    rare = 3 / blocks.count  # an event at this rate is seen with 95% probability
    return f"all {blocks.count:,} {what} are equal: events rarer than {rare:.1g} are possible"


def unseen(blocks: Blocks, truth: Truth) -> float:
    """Return the factor by which the noise may exceed that of samples and truth."""
    return max((found.unseen for found in _tails(blocks, truth)), default=1.0)


def caution(blocks: Blocks, truth: Truth) -> float:
    """Return the factor that lengthens an interval from samples and truth."""
    return max((found.caution for found in _tails(blocks, truth)), default=1.0)


def _tails(blocks: Blocks, truth: Truth) -> list[Tail]:
    """Return the tails that affect an interval; rounding noise has none."""
    noisy = float(blocks.variance.sum()) > resolution(blocks)
    runs = [blocks] * noisy + [truth.blocks] * (truth.blocks is not None)
    return [tail(run) for run in runs if run]
