"""Heavy tails in claims: no quantity of samples with too few events is tested."""

import inspect
import math

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import Truth, jackknife
from experiments.statistics.blocks import Blocks
from experiments.studies.claims import (
    STUDIES,
    Scale,
    counts,
    experts,
    explanations,
    gates,
    groups,
    implicit_mle,
    measurements,
    memory,
    pruning,
    quantised,
    quantities,
    rounding,
    second_order,
    speed,
    subset_laws,
    subsets,
    training,
)
from experiments.training.convergence import Tuned
from tests.experiments.helpers.drawn import blocks_of
from tests.experiments.statistics.test_tails import CASES, FEW, LEAST

SIZE = 1024
SAMPLED = {
    name: function
    for name, function in vars(quantities).items()
    if inspect.isfunction(function)
    and function.__module__ == quantities.__name__
    and not name.startswith("_")
    and any(one.annotation is Blocks for one in inspect.signature(function).parameters.values())
}
# Studies of no gradient samples: they enumerate, draw variables, compare noise by noise, train or
# take times.
OTHERS = {
    "relaxed-mean",
    "concrete-rounding",
    "concrete-convexity",
    "posterior-noise",
    "gumbel-rao-simplex",
    "straight-through-identities",
    "constant-shift",
    "perturbed-arg-max",
    "gumbel-rao-limit",
    "radau-order",
    "swaps-of-two",
    "diffusion-law",
    "states-of-frames",
    "strings-of-three",
    "token-game",
    *(
        study.name
        for module in (
            *(second_order, groups, gates, subsets, subset_laws, implicit_mle, explanations),
            *(counts, experts, memory, pruning, quantised, rounding, training, speed),
        )
        for study in module.STUDIES
    ),
}


def places(function):
    """Return how many samples a quantity is made of, at least."""
    parameters = inspect.signature(function).parameters.values()
    return sum(one.annotation is Blocks for one in parameters)


def quantity(function, runs, truth, end):
    """Return a quantity of samples, tested against an end where it has a law of its own."""
    left, arguments = list(runs), []
    for one in inspect.signature(function).parameters.values():
        if one.kind is inspect.Parameter.KEYWORD_ONLY:
            continue
        if one.kind is inspect.Parameter.VAR_POSITIONAL:
            arguments += left
        elif one.annotation is Blocks:
            arguments.append(left.pop(0))
        elif one.annotation is Truth:
            arguments.append(truth)
        else:
            with np.errstate(divide="ignore"):
                arguments.append(np.log(jackknife.traces(runs[0])))
    found = function(*arguments)
    return found(end) if callable(found) else found


def test_the_quantities_of_samples_are_found():
    assert {"relative_bias", "log_signal_ratio", "of_variances"} <= set(SAMPLED)


@pytest.mark.parametrize("name", SAMPLED)
def test_a_quantity_of_few_events_has_no_error(name):
    rng, truth = np.random.default_rng(0), Truth(np.array([5.0]))
    light = [blocks_of(5 + rng.standard_normal((SIZE, 1)), truth.mean) for _ in range(2)]
    heavy = blocks_of(CASES["log-normal 2"].draw(rng, SIZE), truth.mean)
    count = places(SAMPLED[name])
    found = quantity(SAMPLED[name], light[:count], truth, 0.1)
    assert math.isfinite(found.error) and not found.note
    for place in range(count):
        runs = [*light[:place], heavy, *light[place + 1 : count]]
        found = quantity(SAMPLED[name], runs, truth, 0.1)
        assert found.error == math.inf and "too few events" in found.note


def check(name, n, runs):
    """Assert that 95 % intervals of all quantities hold as often as they must, where printed."""
    rng, case = np.random.default_rng(0), CASES[name]
    mean, variance = case.mean(n), case.variance(n)
    offset = np.ones(case.count) * math.sqrt(variance / n / case.count)
    offset[::2] *= -0.5
    true = mean + offset + (0 if mean.any() else math.sqrt(variance))
    about, square = true - offset, true @ true
    end = np.linalg.norm(offset) / math.sqrt(square)
    truths = {
        "relative_bias": end,
        "squared_bias_difference": (offset @ offset) * (1 - 4) / square,
        "mean_difference": offset @ true / square,
        "length_along": about @ true / square,
        "angle": 1 - about @ true / np.linalg.norm(about) / math.sqrt(square),
        "log_variance_ratio": math.log(variance / case.count),
        "log_signal_ratio": math.log(about @ about / variance)
        - math.log((about - offset) @ (about - offset) / case.count),
        "relative_variance": variance / square,
        "of_variances": math.log(variance),
    }
    assert set(truths) == set(SAMPLED)
    printed, held = (dict.fromkeys(truths, 0) for _ in range(2))
    for _ in range(runs):
        first = blocks_of(case.draw(rng, n) + about - mean, true)
        second = blocks_of(rng.standard_normal((n, case.count)) + about - offset, true)
        for one, function in SAMPLED.items():
            found = quantity(function, (first, second)[: places(function)], Truth(true), end)
            if found.note:
                continue
            printed[one] += 1
            half = stats.t.ppf(0.975, found.degrees) * found.error
            held[one] += abs(found.value - truths[one]) <= half + 1e-12
    for one, count in printed.items():
        if count >= FEW * runs:
            room = 4 * math.sqrt(LEAST * (1 - LEAST) / count)
            assert held[one] / count >= LEAST - room, (one, count, held[one])


def test_a_gradient_that_is_zero_or_lost_in_noise_has_no_error():
    truth, rng = Truth(np.ones(1)), np.random.default_rng(0)
    nothing = blocks_of(np.zeros((SIZE, 1)))
    noise = rng.standard_normal((SIZE, 1))
    lost = blocks_of(noise - noise.mean() + 1e-3)
    seen = blocks_of(rng.standard_normal((SIZE, 1)) + 1)
    for found in (quantities.angle(nothing, truth), quantities.log_signal_ratio(lost, seen)):
        assert math.isnan(found.value) and found.error == math.inf
        assert found.note == "the mean gradient is not distinguishable from zero"


def test_a_ratio_of_no_variance_has_no_error():
    nothing = blocks_of(np.zeros((SIZE, 1)))
    found = quantities.log_variance_ratio(nothing, nothing)
    assert found.error == math.inf and "too few events" in found.note


@pytest.mark.parametrize("name", ["normal, 8 falling", "log-normal 1", "100 events", "coin of 0.5"])
def test_intervals_of_quantities_hold(name):
    check(name, SIZE, 100)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1024, 4096])
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].count < 100])
def test_intervals_of_quantities_hold_everywhere(name, n):
    check(name, n, 300)


class Heavy:
    """A point where the gradients of every estimator have a heavy tail."""

    def __init__(self, num_coordinates=6):
        self.truth = Truth(np.linspace(1, 2, num_coordinates))
        self.rng = np.random.default_rng(0)

    def ready(self, estimator, key, limit):
        del key, limit
        return Tuned(estimator)

    def draw(self, estimator, key, count, *, stacked=False):
        del key, count
        members = len(np.asarray(estimator.temperature)) if stacked else 1
        draws = np.exp(2 * self.rng.standard_normal((members, SIZE, 1)))
        return [blocks_of(one * self.truth.mean, self.truth.mean) for one in draws]


@pytest.mark.parametrize(
    "study", [study for study in STUDIES if study.name not in OTHERS], ids=lambda one: one.name
)
def test_a_study_of_heavy_tails_decides_nothing(study, monkeypatch):
    monkeypatch.setattr(measurements, "prepare", lambda *_, **__: Heavy())
    for row in study.rows(Scale(smoke=True)):
        assert row["error"] == math.inf and "too few events" in row["note"], row["claim"]
