"""What rounding leaves of terms that cancel is no bias; all else is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import ARMS, Bernoulli, DisARM, StraightThrough, pytree
from experiments import statistics as intervals
from experiments.measurement.rows import metric_rows
from experiments.statistics import Truth
from experiments.statistics.distance import distance
from experiments.studies.diagnosis.diagnose import diagnose
from tests.experiments.helpers.drawn import Law

EPS = float(np.finfo(np.float32).eps)
LOGITS = {"logits": jnp.array([0.3, -0.7, 1.1])}
WEIGHTS = jnp.array([1.3, 0.7, 2.1])


@pytree
class Mutant(StraightThrough):
    """Straight-through, declared unbiased."""

    unbiased = "yes"


# The bias and the error of the mean are in units of the terms' last place.
@pytest.mark.parametrize(
    ("bias", "error", "coordinates", "is_bias"),
    [
        (2, 1e-6, 3, False),
        (50, 1e-6, 3, True),
        (50, 1e3, 3, False),
        (7, 10, 2000, False),  # seen in many coordinates, but rounding
        (50, 10, 2000, True),
    ],
)
def test_bias_in_units_of_the_last_place(bias, error, coordinates, is_bias):
    blocks = Law(np.ones(coordinates)).blocks(np.random.default_rng(0))
    unit = np.sqrt(blocks.variance.sum() / blocks.count) / error
    along = np.ones(coordinates) / np.sqrt(coordinates)
    # The expected distance.
    truth = Truth(blocks.mean - np.hypot(bias, error) * unit * along, terms=unit / EPS)
    found = intervals.squared_bias(blocks, truth)
    chance = intervals.unbiased_p_value(blocks, truth, distance(blocks, truth)).value
    assert ((found.low > 0), (chance < 1e-3)) == (is_bias, is_bias)
    without = intervals.squared_bias(blocks, dataclasses.replace(truth, terms=0.0))
    assert (without.low > 0) == (bias > error or coordinates > 3)


def test_a_truth_of_rounding_errors_has_no_direction():
    blocks = Law(np.ones(3)).blocks(np.random.default_rng(0))
    for size, is_zero in ((1e-7, True), (1e-3, False)):
        rows = metric_rows(blocks, Truth(np.full(3, size), terms=1.0), 1, 100.0)
        notes = {row["metric"]: row["note"] for row in rows}
        for metric in ("cosine_mean", "cosine_sample"):
            assert ("zero up to rounding" in notes[metric]) == is_zero


def test_an_objective_that_is_constant_up_to_rounding():
    """Every estimator's differences of f are rounding errors, which compilers make differently."""

    def loss(params, estimator, key, batch):
        def f(bits):
            return 1e3 * (0.1 * (bits * WEIGHTS).sum() - (bits * WEIGHTS * 0.1).sum()) + 55.0

        return estimator(key, Bernoulli(params["logits"]), f)

    found = diagnose(loss, LOGITS, jax.random.key(0), candidates=[ARMS(4), DisARM()], samples=1024)
    biases = [row for row in found.rows if row["metric"] == "squared_bias"]
    assert [row["low"] for row in biases] == [0.0, 0.0]
    chances = [row["value"] for row in found.rows if row["metric"] == "unbiased_p_value"]
    assert min(chances) > 1e-3


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_a_bias_stays_one_whatever_cancels(offset):
    def loss(params, estimator, key, batch):
        def f(bits):
            return offset + ((bits - 0.45) ** 2 * WEIGHTS).sum() ** 2

        return estimator(key, Bernoulli(params["logits"]), f)

    found = diagnose(loss, LOGITS, jax.random.key(0), candidates=[Mutant()], samples=1024)
    rows = {row["metric"]: row for row in found.rows}
    assert rows["squared_bias"]["low"] > 0
    assert rows["unbiased_p_value"]["value"] < 1e-6
