"""The toy of counts, against sums over them."""

import itertools

import jax
import numpy as np
import pytest
import scipy.stats

from estimators import ArrivalTimes, Exact, Pathwise, Poisson, PoissonDifference, RelaxedCount
from experiments.problems import Counts
from tests.experiments.helpers.problems import KEY


def f(x):
    weights = np.linspace(0.2, 0.5, len(x))
    return np.cos(weights @ x) + (x.mean() - 2) ** 2 / (1 + x.mean())


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_truth(rate):
    problem = Counts(rate)
    rates = rate * np.exp([-0.5, 0.5])
    samples = np.array(list(itertools.product(range(30), repeat=2)), float)
    chance = scipy.stats.poisson.pmf(samples, rates).prod(-1)
    values = np.array([f(x) for x in samples])
    params = problem.initial(KEY)
    value, slope = jax.jit(jax.value_and_grad(problem.exact_loss))(params, None)
    np.testing.assert_allclose(value, chance @ values, rtol=1e-5)
    np.testing.assert_allclose(
        slope["log_rates"], (chance * values) @ (samples - rates), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rate", [1e-3, 1.0, 2.0, 1e4])
def test_counts_beyond_the_largest_are_rare(rate):
    problem = Counts(rate, variables=1)
    q = problem.distribution(problem.initial(KEY), None)
    assert q.tail_bounds()[0] < 1e-6


def test_who_takes_it():
    for problem, kind, taken in (
        (Counts(), Poisson, (Exact(), PoissonDifference())),
        (Counts(latent="ArrivalTimes"), ArrivalTimes, (Pathwise(),)),
        (Counts(latent="RelaxedCount"), RelaxedCount, (Pathwise(),)),
    ):
        q = problem.distribution(problem.initial(KEY), None)
        assert isinstance(q, kind)
        for one in (Exact(), PoissonDifference(), Pathwise()):
            assert (problem.refusal(one, q) is None) == (str(one) in map(str, taken))
    many = Counts(variables=5)
    assert "states" in many.refusal(Exact(), many.distribution(many.initial(KEY), None))
    assert many.exact_loss(many.initial(KEY), None) is None


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (Counts(rate=0.0), "Counts rate must be above zero"),
        (Counts(rate=1e6), "Counts rate must be at least 0 and below 100000"),
        (Counts(variables=0), "Counts variables must be at least 1"),
        (Counts(latent="Normal"), "latent must be one of Poisson, ArrivalTimes, RelaxedCount"),
        (Counts(temperature=-1.0), "Counts temperature must be above zero"),
    ],
)
def test_check_refuses(problem, message):
    with pytest.raises(ValueError, match=message):
        problem.check()
