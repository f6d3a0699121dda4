"""Heavy tails: printed intervals hold the truth, and light tails are not refused.

A case is a law of gradients of known mean and variance, drawn by numpy. Its truth is off by a bias,
or has none. The share that holds is among the runs that print an interval; where next to none do,
nothing is to be learned of it.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from experiments import statistics as intervals
from experiments.statistics import Truth
from experiments.statistics.cosine import cosines
from experiments.statistics.tails import needed
from tests.experiments.helpers.drawn import blocks_of, mean_squared_error

LEAST, REFUSED = 0.92, 0.01
NOTES = "samples needed", "no larger", "are equal"
# A law that prints fewer runs than this is refused: next to none of all runs are then wrong.
FEW = 0.02


@dataclasses.dataclass(frozen=True)
class Case:
    """A law of gradients `[n, P]` of known mean and variance (trace).

    Attributes:
        draw: draws them, from a generator and n.
        mean: of every coordinate.
        variance: of a whole gradient.
        light: whether its tail is.
        count: coordinates.
    """

    draw: Callable
    mean: Callable
    variance: Callable
    light: bool = False
    count: int = 1


def each(law, mean, variance, *, light=False, count=1, scales=None):
    """Return a case of independent coordinates of one law."""
    scales = np.ones(count) if scales is None else scales
    return Case(
        lambda rng, n: scales * law(rng, (n, count)),
        lambda n: scales * mean,
        lambda n: variance * np.sum(scales**2),
        light,
        count,
    )


def log_normal(sigma, count=1):
    square = math.exp(sigma**2)
    return each(
        lambda rng, shape: np.exp(sigma * rng.standard_normal(shape)),
        math.sqrt(square),
        square * (square - 1),
        count=count,
    )


def rare(events):
    return Case(
        lambda rng, n: (rng.random((n, 1)) < events / n) * 1.0,
        lambda n: np.full(1, events / n),
        lambda n: events / n * (1 - events / n),
    )


def product_of_bits(rng, n):
    """The score function's gradient of the product of 11 fair bits, from as many rare events."""
    hit = rng.random(n) < 2.0**-11
    return 0.5 * np.repeat(hit[:, None], 11, 1)


def normal_times_log_normal(rng, n):
    return np.exp(rng.standard_normal((n, 1))) * rng.standard_normal((n, 8))


def student(degrees):
    return each(lambda rng, shape: rng.standard_t(degrees, shape), 0.0, degrees / (degrees - 2))


NORMAL = np.random.Generator.standard_normal
FALLING = 1 / np.arange(1.0, 9)
CASES = {
    "normal": each(NORMAL, 0.0, 1.0, light=True),
    "normal, 8": each(NORMAL, 0.0, 1.0, light=True, count=8),
    "normal, 8 falling": each(NORMAL, 0.0, 1.0, light=True, count=8, scales=FALLING),
    "normal, 500": each(NORMAL, 0.0, 1.0, light=True, count=500),
    "exponential": each(np.random.Generator.standard_exponential, 1.0, 1.0, light=True),
    "coin of 0.5": each(lambda rng, shape: rng.random(shape) < 0.5, 0.5, 0.25, light=True),
    "coin of 0.1": each(lambda rng, shape: rng.random(shape) < 0.1, 0.1, 0.09, light=True),
    "Laplace": each(lambda rng, shape: rng.laplace(size=shape), 0.0, 2.0, light=True),
    "Student 5": student(5),
    "Student 3": student(3),
    "log-normal 1": log_normal(1),
    "log-normal 1.5": log_normal(1.5),
    "log-normal 2": log_normal(2),
    "log-normal 1, 8": log_normal(1, 8),
    "log-normal x normal, 8": Case(
        normal_times_log_normal, lambda n: np.zeros(8), lambda n: 8 * math.exp(2), count=8
    ),
    **{f"{events} events": rare(events) for events in (1, 3, 10, 30, 100)},
    "product of 11 bits": Case(
        product_of_bits,
        lambda n: np.full(11, 2.0**-12),
        lambda n: 11 * 0.25 * 2.0**-11 * (1 - 2.0**-11),
        count=11,
    ),
}
METRICS = (
    *("squared_bias", "variance", "mse", "equal_cost_error"),
    *("cosine_mean", "cosine_sample", "mean"),
)


def cosine(case, n, shift, about):
    """Return the mean cosine of one sample to the truth, from so many that its error is nothing."""
    rng = np.random.default_rng(12345)
    rows = np.concatenate([case.draw(rng, n) for _ in range(-(-(2**22 // case.count) // n))])
    return float(cosines(rows + shift, about).mean())


def found(case, n, bias, sampled, enough, most, seed=0):
    """Return how many runs there were, and how many `[metrics]` print an interval and hold.

    There are `most` of them, or fewer where every metric that is not refused is printed `enough`.
    """
    rng = np.random.default_rng(seed)
    mean, variance = case.mean(n), case.variance(n)
    # A bias of so many standard errors of the mean, along all coordinates and across them.
    offset = np.ones(case.count) * np.sqrt(variance / n / case.count) * bias
    offset[::2] *= -0.5
    true = mean + offset if mean.any() else mean + offset + math.sqrt(variance)
    shift = true - mean - offset
    about = true - offset
    off = float(offset @ offset)
    truths = {
        "squared_bias": off,
        "variance": variance,
        "mse": off + variance,
        "equal_cost_error": off + variance / 50,
        "cosine_mean": float(about @ true / np.linalg.norm(about) / np.linalg.norm(true)),
        "cosine_sample": cosine(case, n, shift, about),
    }
    printed, held = np.zeros((2, len(METRICS)))
    for run in range(most):
        done = printed >= enough
        if run >= enough // 2 and (done | (printed < FEW * run)).all():
            return run, printed, held
        truth = Truth(true)
        if sampled:
            other = blocks_of(case.draw(rng, n) + shift + offset, true)
            truth = Truth(other.mean, other)
        blocks = blocks_of(case.draw(rng, n) + shift, about)
        squared, spread = intervals.squared_bias(blocks, truth), intervals.variance(blocks, truth)
        estimates = {
            "squared_bias": squared,
            "variance": spread,
            "mse": mean_squared_error(blocks, truth),
            "equal_cost_error": intervals.equal_cost_error(squared, spread, 1, 50),
            "cosine_mean": intervals.cosine_of_mean(blocks, truth),
            "cosine_sample": intervals.cosine_per_sample(blocks, truth),
        }
        for place, (name, one) in enumerate(estimates.items()):
            assert bool(one.note) == math.isnan(one.high)
            # A sampled truth that saw no event has no direction.
            assert math.isfinite(one.value) or name.startswith("cosine") and not truth.mean.any()
            if one.note:
                assert any(why in one.note for why in NOTES), one
                continue
            # The unbiased estimate of what is not negative may be, where the interval has zero.
            value = max(one.value, 0.0) if name == "squared_bias" else one.value
            assert one.low <= value <= one.high, (name, one)
            printed[place] += 1
            slack = 1e-12 * abs(truths[name])
            held[place] += one.low - slack <= truths[name] <= one.high + slack
        _, low, high = intervals.mean(blocks)
        printed[-1] += np.isfinite(low[0])
        held[-1] += low[0] <= about[0] <= high[0]
    return most, printed, held


def check(case, n, bias, sampled, enough, most):
    runs, printed, held = found(case, n, bias, sampled, enough, most)
    for name, count, holds in zip(METRICS, printed, held, strict=True):
        if case.light:
            room = 2 * math.sqrt(REFUSED * (1 - REFUSED) / runs)
            assert count >= (1 - REFUSED - room) * runs, (name, count, runs)
        if count >= FEW * runs:
            # Of 500 runs this is less than 90 %.
            room = 2 * math.sqrt(LEAST * (1 - LEAST) / count)
            assert holds >= (LEAST - room) * count, (name, count, holds)


def test_light_tails_have_intervals():
    check(CASES["exponential"], 1024, 0.0, False, 500, 600)


@pytest.mark.parametrize(
    ("name", "n"),
    [
        *(("Student 3", 1024), ("log-normal 2", 1024), ("log-normal 1.5", 4096)),
        ("product of 11 bits", 1024),
    ],
)
def test_heavy_tails_are_covered_or_refused(name, n):
    check(CASES[name], n, 0.0, False, 500, 1500)


@pytest.mark.slow
@pytest.mark.parametrize("sampled", [False, True], ids=["exact", "sampled"])
@pytest.mark.parametrize("bias", [0.0, 3.0])
@pytest.mark.parametrize("n", [1024, 4096, 10016])
@pytest.mark.parametrize("name", CASES)
def test_printed_intervals_hold(name, n, bias, sampled):
    case = CASES[name]
    # 500 coordinates of 10,016 samples are a gigabyte of noise for 25 runs.
    enough = 2000 if case.count < 100 else 2000 * 1024 // n // 10
    check(case, n, bias, sampled, enough, 3 * enough)


def test_an_error_is_above_zero_though_the_truth_is_noisier():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        other = blocks_of(25 * rng.normal(size=(1024, 1)) + 1, np.ones(1))
        blocks = blocks_of(rng.normal(size=(1024, 1)) + 1)
        error = mean_squared_error(blocks, Truth(other.mean, other))
        assert error.note or 0 < error.low <= error.value <= error.high


def test_how_many_samples_are_needed():
    samples = np.zeros((1024, 1))
    samples[:12] = 1
    note = intervals.variance(
        blocks_of(np.random.default_rng(0).permutation(samples)), Truth(np.zeros(1))
    ).note
    # Twelve events in a thousand: as many of all as allow an interval, as a round number.
    assert note == "too few events: at least 20,000 samples needed"
    for count in (1024, 4096, 10016):
        assert needed(count) == pytest.approx(max(56, 5.6 * count ** (1 / 3)))


def test_of_samples_that_are_all_alike_no_number_helps():
    for count in (1024, 2**20):
        nothing = intervals.squared_bias(blocks_of(np.zeros((count, 1))), Truth(np.ones(1)))
        said = f"all {count:,} samples are equal: events rarer than {3 / count:.1g} are possible"
        assert nothing.note == said and nothing.value == 1 and math.isnan(nothing.high)
    # Nor that a sampled truth is the same: it may have missed the same event.
    zeros = blocks_of(np.zeros((1024, 1)))
    for metric in intervals.squared_bias, intervals.variance, mean_squared_error:
        assert metric(zeros, Truth(zeros.mean)) == intervals.Estimate.student(0.0)
        assert "all 1,024 samples are equal" in metric(zeros, Truth(zeros.mean, zeros)).note


def test_intervals_are_longer_where_chance_may_have_brought_enough_events():
    def length(events, count=10016):
        blocks = blocks_of(np.random.default_rng(0).permutation(np.arange(count) < events)[:, None])
        one = intervals.variance(blocks, Truth(np.zeros(1)))
        return math.log(one.high / one.low)

    assert length(130) > 1.6 * math.sqrt(200 / 130) * length(200)


def test_a_gradient_that_is_zero_has_no_direction():
    blocks = blocks_of(np.zeros((2048, 2)), np.zeros(2))
    truth = Truth(np.array([1.0, 2.0]))
    assert intervals.cosine_of_mean(blocks, truth).value == 0
    assert intervals.cosine_per_sample(blocks, truth).value == 0
    # Of one that is lost in its own noise there is.
    rng = np.random.default_rng(0)
    lost = blocks_of(np.array([1e-3, 2e-3]) + rng.normal(size=(2048, 2)), truth.mean)
    assert intervals.cosine_of_mean(lost, truth).value != 0
    none = intervals.cosine_of_mean(lost, Truth(np.zeros(2)))
    assert math.isnan(none.value) and none.note == "the true gradient is zero"
    unseen = intervals.cosine_of_mean(lost, Truth(np.zeros(2), blocks))
    assert math.isnan(unseen.value) and "samples of the true gradient are equal" in unseen.note
    assert math.isnan(intervals.cosine_per_sample(lost, Truth(np.zeros(2))).value)


def test_what_leaves_the_range_is_named():
    blocks = dataclasses.replace(blocks_of(np.ones((1024, 1))), squares=np.array([np.inf]))
    for metric in (intervals.squared_bias, intervals.variance):
        one = metric(blocks, Truth(np.zeros(1)))
        assert math.isnan(one.value) and "exceed the range" in one.note
