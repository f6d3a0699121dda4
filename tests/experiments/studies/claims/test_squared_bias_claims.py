"""The test of "the bias is below epsilon": its error rate and power, where the bias is known."""

import math

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import Truth
from experiments.statistics.distance import distance
from experiments.studies.claims import Claim
from experiments.studies.claims.claim import below, between
from experiments.studies.claims.quantities import relative_bias, squared_bias_difference
from tests.experiments.helpers.drawn import Law, blocks_of

SPECTRA = {
    "one": np.ones(1),
    "50": np.ones(50),
    "50, 1/k": 1 / np.arange(1.0, 51),
    "50, one": np.r_[1.0, np.full(49, 1e-4)],
    "500": np.ones(500),
}
LEVEL = 0.05


def p_values(law, bound, count, seed=0):
    """Return the p-values of "inside" and of "outside" `[count, 2]`, as a table computes them.

    Args:
        law: of the samples.
        bound: on the bias, in standard errors of the mean, as the law's bias is.
        count: of replications.
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    end = bound * math.sqrt(law.error) / float(np.linalg.norm(law.true_gradient))
    region = below(end, effect=end)
    claim = Claim("the bias is small", "nowhere", "relative bias", relative_bias, region)
    found = []
    for _ in range(count):
        estimate = claim.about(relative_bias(law.blocks(rng), law.truth(rng)))
        score = (end - estimate.value) / estimate.error
        found.append(stats.t.sf((score, -score), estimate.degrees))
    return np.array(found)


def check(name, bound, direction, sampled, count):
    at_end = Law(SPECTRA[name], bound, direction, sampled)
    falsely = np.mean(p_values(at_end, bound, count) <= LEVEL, 0)
    assert (falsely <= LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / count)).all()
    # Not by saying nothing: no bias, and one of twice the bound, are told from it.
    if bound == 4:
        few = count // 5
        none = p_values(Law(SPECTRA[name], 0, direction, sampled), bound, few)
        twice = p_values(Law(SPECTRA[name], 2 * bound, direction, sampled), bound, few)
        assert np.mean(none[:, 0] <= LEVEL) > 0.9 and np.mean(twice[:, 1] <= LEVEL) > 0.9


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    ("name", "bound", "sampled", "count"),
    [("50", 1.3, False, 300), ("one", 4, False, 400), ("50, one", 4, True, 300)],
)
def test_a_bias_at_the_bound_is_rarely_called(name, bound, sampled, count):
    check(name, bound, 0, sampled, count)


@pytest.mark.slow
@pytest.mark.parametrize("sampled", [False, True], ids=["exact", "sampled"])
@pytest.mark.parametrize("direction", [0, -1], ids=["widest", "narrowest"])
@pytest.mark.parametrize("bound", [1, 2, 4])
@pytest.mark.parametrize("name", SPECTRA)
def test_a_bias_at_the_bound_is_rarely_called_everywhere(name, bound, direction, sampled):
    check(name, bound, direction, sampled, 400 if name == "500" else 2000)


def test_many_coordinates_hide_no_bias():
    # .04 for a bound of .03, where the mean's noise is .03 in all: a direction that noise chose
    # calls this "inside" in a third of the runs.
    for name, count in (("50", 200), ("500", 40)):
        found = p_values(Law(SPECTRA[name], 4 / 3), 1, count)
        assert np.mean(found[:, 0] <= LEVEL) <= 0.02
    assert np.mean(found[:, 1] <= LEVEL) > 0.9  # and 500 show it


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "50", "50, one"])
def test_few_are_called_at_the_levels_of_a_table_of_many_claims(name):
    count, level = 4000, 1e-3
    falsely = np.mean(p_values(Law(SPECTRA[name], 4), 4, count) <= level, 0)
    assert (falsely <= level + 4 * math.sqrt(level / count)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "50, one"])
@pytest.mark.parametrize(("bound", "level"), [(4, 0.05), (6, 0.005), (7, 3e-4)])
def test_a_power_of_nine_tenths_is_there(name, bound, level):
    """The power that a table says, from the error and the effect, is that of the test made."""
    law, rng, count = Law(SPECTRA[name]), np.random.default_rng(6), 400
    end = bound * math.sqrt(law.error) / float(np.linalg.norm(law.true_gradient))
    found = [relative_bias(law.blocks(rng), law.truth(rng))(end) for _ in range(count)]
    scores = np.array([(end - one.value) / one.error for one in found])
    called = np.mean(stats.t.sf(scores, 31) <= level)
    effects = np.array([end / one.error for one in found])
    said = np.mean(stats.nct.sf(stats.t.isf(level, 31), 31, effects))
    assert said > 0.85 and said - 4 * math.sqrt(said * (1 - said) / count) <= called <= said + 0.1


@pytest.mark.parametrize("bias", [0.5, 2.2])
def test_students_test_of_the_error_has_the_p_value_of_the_law(bias):
    law, end = Law(SPECTRA["50"], bias), 1.5 * math.sqrt(Law(SPECTRA["50"]).error)
    rng = np.random.default_rng(3)
    blocks, truth = law.blocks(rng), law.truth(rng)
    known, norm = distance(blocks, truth), float(np.linalg.norm(truth.mean))
    found = relative_bias(blocks, truth)(end / norm)
    score = (end / norm - found.value) / found.error
    assert 0.25 < abs(score) < 7
    chance = stats.t.sf(score, found.degrees)
    assert chance == pytest.approx(known.below(end**2), rel=1e-9)


def test_a_sampled_norm_is_not_too_long():
    # The error of the truth is a quarter of its squared length.
    law = Law(SPECTRA["50"] * 300, 4, 0, sampled=True)
    rng = np.random.default_rng(4)
    found = [relative_bias(law.blocks(rng), law.truth(rng))(0.1).value for _ in range(200)]
    square = float(law.true_gradient @ law.true_gradient)
    assert law.error / 2 > square / 5
    true = math.sqrt(law.squared_bias / square)
    assert np.median(found) == pytest.approx(true, rel=0.05)


def test_samples_that_are_all_alike_exclude_no_bias():
    nothing, truth = blocks_of(np.zeros((1024, 3))), Truth(np.ones(3))
    found = relative_bias(nothing, truth)(0.1)
    assert found.error == math.inf and "samples are equal" in found.note


def test_a_truth_that_is_lost_in_noise_has_no_relative_bias():
    law = Law(SPECTRA["50"] * 1e6, sampled=True)
    rng, lost = np.random.default_rng(5), 0
    for _ in range(8):
        found = relative_bias(law.blocks(rng), law.truth(rng))(0.1)
        lost += math.isnan(found.value) and "distinguishable from zero" in found.note
    assert lost > 0


def test_the_difference_of_two_squared_biases():
    narrow, wide = Law(SPECTRA["50, 1/k"], 4), Law(SPECTRA["50, 1/k"], 6)
    norm, rng, found = wide.true_gradient @ wide.true_gradient, np.random.default_rng(1), []
    for _ in range(400):
        pair = wide.blocks(rng), narrow.blocks(rng)
        found.append(squared_bias_difference(*pair, wide.truth(rng)))
    values = np.array([one.value for one in found])
    apart = (wide.squared_bias - narrow.squared_bias) / norm
    assert abs(values.mean() - apart) < 4 * values.std(ddof=1) / math.sqrt(len(values))
    held = [abs(one.value - apart) < stats.t.ppf(0.975, 31) * one.error for one in found]
    assert abs(np.mean(held) - 0.95) < 4 * math.sqrt(0.05 * 0.95 / len(held))


def test_such_a_quantity_needs_one_end():
    law = Law(SPECTRA["50"])
    rng = np.random.default_rng(2)
    region = between(0.0, 1.0)
    claim = Claim("the bias is so and so", "nowhere", "relative bias", relative_bias, region)
    with pytest.raises(ValueError, match="one end"):
        claim.about(relative_bias(law.blocks(rng), law.truth(rng)))
