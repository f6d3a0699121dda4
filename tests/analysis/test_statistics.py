"""Statistics over seeds: against closed forms, and how often their intervals hold the truth."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import interquartile_mean, mean, paired_difference


def test_mean_is_students():
    found = mean(np.array([100.0, 101.0, 105.0]))
    half = 4.302653 * np.sqrt(7 / 3)
    assert found.value == 102 and found.size == 3
    np.testing.assert_allclose([found.low, found.high], [102 - half, 102 + half], rtol=1e-6)
    one = mean(np.array([3.0]))
    assert one.value == 3 and np.isnan(one.low)
    assert mean(np.full(3, 2.0)) == (2, 2, 2, 3)


def test_interquartile_mean_is_of_the_middle_half():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 1000.0])
    found = interquartile_mean(values)
    assert found.value == 4.5 == np.mean([3, 4, 5, 6])
    assert found.low < 4.5 < found.high < 1000
    assert interquartile_mean(values) == found  # the bootstrap has a seed
    assert interquartile_mean(np.full(4, 2.0)) == (2, 2, 2, 4)
    with pytest.raises(ValueError, match="at least 4 runs, not 3"):
        interquartile_mean(values[:3])


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 400 samples of 20: 95 % but for four standard errors, and the bootstrap's own bias."""
    random = np.random.default_rng(0)
    samples = random.normal(1.0, 2.0, (400, 20))
    held = np.mean([found.low < 1 < found.high for found in map(mean, samples)])
    error = np.sqrt(0.95 * 0.05 / 400)
    assert abs(held - 0.95) < 4 * error
    middle = [interquartile_mean(sample, resamples=999) for sample in samples]
    held = np.mean([found.low < 1 < found.high for found in middle])
    assert 0.95 - 0.04 - 4 * error < held < 0.95 + 4 * error


def test_pairs_share_their_noise():
    random = np.random.default_rng(1)
    noise = random.normal(0, 5, 10)
    first = 100 + noise + random.normal(0, 0.1, 10)
    second = 101 + noise + random.normal(0, 0.1, 10)
    difference, chance = paired_difference(first, second)
    assert difference.low < -1 < difference.high < 0 and chance < 1e-6
    np.testing.assert_allclose(chance, stats.ttest_1samp(first - second, 0).pvalue)
    alone = mean(first)
    assert alone.high - alone.low > 10 * (difference.high - difference.low)
    assert paired_difference(first, first) == ((0, 0, 0, 10), 1)
    with pytest.raises(ValueError, match="one length"):
        paired_difference(first, second[:3])
