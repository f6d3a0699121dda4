"""Means over seeds: against closed forms, and how often their intervals hold the truth."""

import numpy as np
import pandas as pd

from analysis.statistics.seeds import over_seeds


def means(*groups):
    """The means of groups of values whose rows have the interval [-1, 1]."""
    rows = [{"group": i, "value": value} for i, values in enumerate(groups) for value in values]
    return over_seeds(pd.DataFrame(rows).assign(low=-1.0, high=1.0), ["group"])


def test_mean_is_students():
    found = means([100.0, 101.0, 105.0], [3.0], [2.0, 2.0, 2.0])
    half = 4.302653 * np.sqrt(7 / 3)
    assert found["value"].tolist() == [102, 3, 2] and found["seeds"].tolist() == [3, 1, 3]
    np.testing.assert_allclose(
        found.loc[0, ["low", "high"]].to_numpy(float), [102 - half, 102 + half], rtol=1e-6
    )
    assert found.loc[1, ["low", "high"]].tolist() == [-1, 1]  # a single seed keeps its own
    assert found.loc[2, ["low", "high"]].tolist() == [2, 2]


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 400 samples of 20: 95 % but for four standard errors."""
    found = means(*np.random.default_rng(0).normal(1.0, 2.0, (400, 20)))
    held = ((found["low"] < 1) & (1 < found["high"])).mean()
    assert abs(held - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400)
