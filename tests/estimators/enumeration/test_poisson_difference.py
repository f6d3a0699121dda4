"""Estimators of counts, by enumeration: every count of a scripted key, times its probability."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from estimators import (
    Exact,
    LeaveOneOut,
    Poisson,
    PoissonDifference,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
    black_box,
    pytree,
)
from estimators.core.evaluate import evaluate_all
from estimators.core.gradients import attach_gradient, replace_gradient
from tests.estimators.helpers import checks
from tests.estimators.helpers.enumeration import moments, per_key
from tests.estimators.helpers.problems import POISSON
from tests.estimators.helpers.scripted import poisson_keys
from tests.estimators.test_mutants import Mutant, fails

pytestmark = pytest.mark.usefixtures("strict_dtypes")

ETA = np.array([0.3, -0.8])
RATES = np.exp(ETA)
ONE = np.log([2.3])
WEIGHTS = np.array([1.3, -0.6])
UNBIASED = ScoreFunction(), PoissonDifference("up"), PoissonDifference("down")


def linear(x):
    return jnp.asarray(WEIGHTS[: x.size], x.dtype) @ x


def quadratic(x):
    return linear(x) ** 2 + x[0] * x[-1]


def cubic(x):
    return linear(x) ** 3


def coupled(x):
    return jnp.sin(linear(x)) * jnp.exp(-0.2 * x.sum())


def square(x):
    return x[0] ** 2


FUNCTIONS = pytest.mark.parametrize("f", [linear, quadratic, cubic, coupled])


def counts(rates, most=40):
    """Every sample `[N, D]` up to a largest count, and its probability."""
    samples = np.array(list(itertools.product(range(most), repeat=len(rates))), np.float64)
    return samples, scipy.stats.poisson.pmf(samples, rates).prod(-1)


def truth(log_rate, f):
    """The gradient by the score, summed over the counts."""
    rates = np.exp(log_rate)
    samples, chance = counts(rates, 60 if len(rates) == 1 else 40)
    values = np.asarray(jax.vmap(f)(jnp.asarray(samples)))
    return (chance * values) @ (samples - rates)


def mean_and_variance(estimator, log_rate, f):
    rates = np.exp(log_rate)
    samples, chance = counts(rates, 60 if len(rates) == 1 else 25)
    kept = chance > 1e-13
    samples, chance = samples[kept], chance[kept]
    keys = poisson_keys(samples[:, None], rates)
    drawn = jax.jit(jax.vmap(Poisson(jnp.asarray(log_rate)).sample))(keys)
    np.testing.assert_array_equal(drawn, samples)
    return moments(chance, per_key(estimator, Poisson, log_rate, keys, f)[1])


@FUNCTIONS
@pytest.mark.parametrize("estimator", UNBIASED, ids=str)
@pytest.mark.first_cases(4)
def test_unbiased(float64, estimator, f):
    mean, _ = mean_and_variance(estimator, ETA, f)
    np.testing.assert_allclose(mean, truth(ETA, f), rtol=1e-8, atol=1e-8)


@FUNCTIONS
@pytest.mark.parametrize(
    ("estimator", "exact_for"),
    [
        (StraightThrough(), (linear,)),
        (SecondOrderStraightThrough(), (linear, quadratic)),
    ],
    ids=["StraightThrough", "SecondOrderStraightThrough"],
)
@pytest.mark.first_cases(4)
def test_exact_up_to_a_degree(float64, estimator, exact_for, f):
    mean, _ = mean_and_variance(estimator, ETA, f)
    difference = abs(mean - truth(ETA, f)).max()
    assert difference < 1e-7 if f in exact_for else difference > 1e-2


@FUNCTIONS
def test_exact(float64, f):
    found = jax.grad(lambda q: Exact()(jax.random.key(0), q, f))(Poisson(jnp.asarray(ETA), 40))
    np.testing.assert_allclose(found.log_rate, truth(ETA, f), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("estimator", "wanted"),
    [(UNBIASED[0], 1412), (UNBIASED[1], 48.7), (UNBIASED[2], 281.6)],
    ids=str,
)
def test_variances_of_a_square(float64, estimator, wanted):
    """At a rate of 2.3, against numbers computed without the library."""
    _, variance = mean_and_variance(estimator, ONE, square)
    np.testing.assert_allclose(variance, wanted, rtol=1e-3)


def test_bias_of_a_square(float64):
    """Straight-through lacks the rate itself, and 10.58 is not 12.88."""
    np.testing.assert_allclose(mean_and_variance(StraightThrough(), ONE, square)[0], 10.58)
    np.testing.assert_allclose(truth(ONE, square), 12.88, rtol=1e-9)


def test_trapezoid_of_the_difference(float64):
    """Second order is the mean of the two slopes of the step up, in the mean over counts."""
    rates = np.exp(ONE)
    samples, chance = counts(rates, 60)
    g = jax.vmap(jax.grad(cubic))
    here, up = (np.asarray(g(jnp.asarray(x)))[:, 0] for x in (samples, samples + 1))
    wanted = rates * (chance @ (here + up)) / 2
    np.testing.assert_allclose(
        mean_and_variance(SecondOrderStraightThrough(), ONE, cubic)[0], wanted, rtol=1e-8
    )


def test_needs_no_derivative_and_no_negative_counts(float64):
    """A table, which has counts from zero on only."""
    table = jnp.asarray(np.random.default_rng(0).normal(size=100))

    def f(x):
        return jnp.where(x.min() < 0, jnp.nan, table[x.sum().astype("int32")])

    for estimator in UNBIASED:
        keys = jax.random.split(jax.random.key(1), 100)
        _, slopes = per_key(estimator, Poisson, ETA, keys, black_box(f))
        assert np.isfinite(slopes).all() and slopes.any()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_evaluations(direction):
    for shape in ((), (2, 2)):
        q = Poisson(jnp.zeros(shape))
        assert PoissonDifference(direction).evaluations(q) == 1 + q.log_rate.size
        value = PoissonDifference(direction)(jax.random.key(0), q, lambda x: x.sum())
        assert value == Poisson(q.log_rate).sample(jax.random.key(0)).sum()


def test_leave_one_out_has_less_variance_than_none(float64):
    q, keys = ETA, jax.random.split(jax.random.key(2), 4096)

    def f(x):
        return 20 + quadratic(x)

    one, two = (
        per_key(ScoreFunction(baseline), Poisson, q, keys, f)[1].var(0)
        for baseline in (None, LeaveOneOut(4))
    )
    assert (two < one / 4).all()


def test_directions():
    with pytest.raises(ValueError, match="direction must be one of up, down, not 'left'"):
        PoissonDifference("left").check()


# The battery bites


@pytree
class CountMutant(Mutant):
    distributions = (Poisson,)


def attached(q, value, gradient):
    return attach_gradient(value, q, Poisson(gradient, q.most))


def all_at_once(self, key, q, f):
    """One evaluation for all variables."""
    x = q.sample(key)
    value = f(x)
    change = jax.lax.stop_gradient(f(x + 1) - value)
    return attached(q, value, q.mean * change)


def differences(key, q, f, step, weight):
    x = q.sample(key)
    found = evaluate_all(lambda row: f(x + row), step * jnp.eye(3, 2, -1), x.shape)
    change = jax.lax.stop_gradient(found[1:] - found[0])
    return attached(q, found[0], weight(q, x) * change)


def weighted_by_the_count(self, key, q, f):
    return differences(key, q, f, 1, lambda q, x: x)


def weighted_by_the_rate(self, key, q, f):
    return differences(key, q, f, -1, lambda q, x: -q.mean)


def without_the_rate(self, key, q, f):
    return differences(key, q, f, 1, lambda q, x: jnp.ones_like(x))


def difference(self, key, q, f):
    return differences(key, q, f, 1, lambda q, x: q.mean)


def second_order(self, key, q, f):
    x = q.sample(key)
    return f(replace_gradient(x, (q.mean + x * q.log_rate) / 2))


@pytest.mark.parametrize(
    "rule",
    [all_at_once, weighted_by_the_count, weighted_by_the_rate, without_the_rate, second_order],
)
def test_wrong_rules_are_found(rule):
    fails(checks.check_mean, CountMutant(rule), POISSON)


def test_the_right_rule_passes():
    checks.check_mean(CountMutant(difference), POISSON)


def test_evaluations_of_fewer_are_found():
    checks.check_evaluations(CountMutant(difference, num_evaluations=3), POISSON)
    fails(checks.check_evaluations, CountMutant(difference), POISSON)
