"""The jackknife's pseudo-values, by which estimators under common keys are compared."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest

from analysis.statistics.ties import replicates
from estimators import DARN, ReinMax, ScoreFunction, StraightThrough
from experiments import statistics as intervals
from experiments.measurement.point import prepare
from experiments.measurement.rows import metric_rows
from experiments.problems import Quadratic
from experiments.statistics import Truth, jackknife
from experiments.statistics.blocks import NUM_BLOCKS

SAMPLES = 4096
READ = "squared_bias", "variance"


@pytest.fixture(scope="module")
def drawn():
    """Blocks of several estimators at one point, under the same keys, and the truth."""
    point = prepare(Quadratic(), jax.random.key(0))
    estimators = ScoreFunction(), StraightThrough(), ReinMax(), DARN()
    key = jax.random.key(1)
    blocks = {type(one).__name__: point.draw(one, key, SAMPLES)[0] for one in estimators}
    return point.truth, blocks


def read(blocks, truth):
    rows = {row["metric"]: row for row in metric_rows(blocks, truth, 1, 100.0)}
    assert not any(rows[name]["replicates"] for name in rows if name not in READ)
    texts = pd.Series([rows[metric]["replicates"] for metric in READ])
    return rows, replicates(texts).to_numpy()


def test_they_scatter_about_the_estimates_with_their_errors(drawn):
    truth, blocks = drawn
    for name in ("ScoreFunction", "StraightThrough"):
        rows, found = read(blocks[name], truth)
        assert found.shape == (2, NUM_BLOCKS)
        bias, spread = (rows[metric]["value"] for metric in READ)
        # They correct to first order a bias of 1 / n: less than a tenth of their error.
        errors = found.std(axis=1, ddof=1) / np.sqrt(NUM_BLOCKS)
        assert (np.abs(found.mean(axis=1) - [bias, spread]) < 0.1 * errors).all()
        half = (rows["variance"]["high"] - rows["variance"]["low"]) / 2 / 1.96
        assert 0.5 < errors[1] / half < 2.0  # one from blocks, one from samples


def test_squared_biases_are_those_of_the_interval(drawn):
    truth, blocks = drawn
    sampled = Truth(truth.mean, blocks["ScoreFunction"])
    for one in (truth, sampled):
        found = jackknife.squared_biases(blocks["StraightThrough"], one)
        expected = intervals.squared_bias(blocks["StraightThrough"], one).value
        np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-9)


def test_equal_gradients_have_equal_replicates(drawn):
    truth, blocks = drawn
    same, other = (read(blocks[name], truth)[1] for name in ("ReinMax", "DARN"))
    np.testing.assert_allclose(same, other, rtol=1e-4)
    # Independent estimates: pseudo-values of different keys would differ by their deviation.
    assert np.abs(same[1] - same[1].mean()).max() > 1e-2 * same[1].mean()


def test_pseudo_values_of_a_mean_are_the_values():
    values = np.arange(5.0) ** 2
    without = (values.sum() - values) / 4
    statistic = np.concatenate([[values.mean()], without])
    np.testing.assert_allclose(jackknife.pseudo_values(statistic), values)


def test_what_is_not_finite_has_none(drawn):
    truth, blocks = drawn
    broken = blocks["ScoreFunction"].sums.copy()
    broken[0] = np.nan
    rows, _ = read(dataclasses.replace(blocks["ScoreFunction"], sums=broken), truth)
    assert rows["variance"]["replicates"] == ""
