"""Poisson variables: their law in both tails, at small and large rates."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from estimators import Exact, Poisson, ScoreFunction, StraightThrough
from tests.estimators.helpers.laws import LEAST_P_VALUE, Compiled, rare_p_values, repeat, slope

pytestmark = pytest.mark.usefixtures("strict_dtypes")

KEY = jax.random.key(30)
RATES = [1e-3, 0.3, 1.0, 15.9, 16.1, 20.0, 1e4, 1e6]


def law(log_rate):
    """The law at the rate of the log-rate as it is stored."""
    return scipy.stats.poisson(np.exp(np.float64(log_rate)))


def around(law, tail=1e-12, most=400):
    """Counts over all of the law."""
    ends = law.ppf(tail), max(law.isf(tail), 3)
    return np.unique(np.floor(np.linspace(*ends, most)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.first_cases(6)
def test_log_probabilities(dtype, rate):
    log_rate = dtype.type(np.log(rate))
    counts = around(law(log_rate))
    q = Poisson(repeat(log_rate, len(counts), dtype))
    found = jax.jit(jax.vmap(lambda q, x: q.log_prob(x)))(q, jnp.asarray(counts, dtype))
    assert found.dtype == dtype
    tolerance = 1e-4 if dtype == np.float32 else 5e-9
    wanted = law(log_rate).logpmf(counts)
    np.testing.assert_allclose(found, wanted, rtol=tolerance / 10, atol=tolerance)


@pytest.mark.parametrize("rate", [0.3, 40.0])
def test_score_and_derivatives_in_the_count(float64, rate):
    for count in 0.0, 3.0, 37.0:
        q = Poisson(jnp.log(jnp.array([rate])))
        x = jnp.array([count])
        np.testing.assert_allclose(q.score(x).log_rate, count - rate, rtol=1e-12)
        found = jax.grad(q.log_prob)(x + 0.5)
        wanted = np.log(rate) - scipy.special.digamma(count + 1.5)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        curvature = jax.hessian(lambda log_rate, x=x: Poisson(log_rate).log_prob(x))(q.log_rate)
        np.testing.assert_allclose(curvature, -rate, rtol=1e-12)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.first_cases(4)
def test_every_count_has_its_probability(rate):
    """In float32, of a quarter of a million samples, in bins of many."""
    log_rate = np.float32(np.log(rate))
    samples = np.asarray(Compiled(Poisson(repeat(log_rate, 2**18, "f"))).sample(KEY))
    assert samples.dtype == np.float32 and (samples == np.round(samples)).all()
    distribution = law(log_rate)
    # Bins of many samples each, the last ones open.
    edges = np.unique(distribution.ppf(np.linspace(0, 1, 200)[1:-1]))
    edges = np.unique([edges[0], *edges[distribution.sf(edges) > 1e-4]])
    chance = np.diff([0, *distribution.cdf(edges), 1])
    hits = np.bincount(np.searchsorted(edges, samples), minlength=len(chance))
    assert scipy.stats.chisquare(hits, chance * len(samples)).pvalue > LEAST_P_VALUE


@pytest.mark.many_samples
@pytest.mark.parametrize("rate", [1e-5, 1.0, 20.0, 1e4])
@pytest.mark.first_cases(2)
def test_tails(rate):
    """Counts that are drawn once in a hundred thousand times, on either side."""
    log_rate = np.float32(np.log(rate))
    distribution = law(log_rate)
    high = distribution.isf(1e-5)
    low = distribution.ppf(1e-5) if rate > 10 else -1.0
    wanted = [distribution.sf(high), distribution.cdf(low)]

    def draw(key):
        samples = jax.vmap(Poisson(log_rate).sample)(jax.random.split(key, 2**20))
        return jnp.stack([samples > np.float32(high), samples <= np.float32(low)])

    found = rare_p_values(draw, wanted, 4)
    assert (found > LEAST_P_VALUE).all(), found


def test_moments_where_methods_meet(float64):
    """The rates on both sides of 16, by common random numbers: the difference of their means."""
    rates = 16 + np.array([-1e-9, 1e-9])
    draws = [Compiled(Poisson(repeat(np.log(r), 2**14, "d"))).sample(KEY) for r in rates]
    assert (draws[0] != draws[1]).mean() < 1e-3


def test_samples_grow_with_the_rate():
    rates = jnp.asarray(np.geomspace(1e-3, 1e6, 500), "f")
    q = Poisson(jnp.broadcast_to(jnp.log(rates), (16, 500)))
    one = jax.vmap(lambda log_rate, key: Poisson(log_rate).sample(key), (1, None))
    samples = np.asarray(jax.jit(one)(q.log_rate, KEY))
    assert (np.diff(samples, axis=0) >= 0).all()


def test_samples_have_no_derivative():
    gradient = jax.jit(jax.grad(lambda q: q.sample(KEY).sum()))
    found = gradient(Poisson(jnp.array([0.3, 5.0])))
    assert not found.log_rate.any()


def test_divergence(float64):
    one, other = np.array([0.3, -2.0]), np.array([1.0, -2.5])
    counts = np.arange(60)
    wanted = sum(
        (law(a).pmf(counts) * (law(a).logpmf(counts) - law(b).logpmf(counts))).sum()
        for a, b in zip(one, other, strict=True)
    )
    found = Poisson(jnp.asarray(one)).kl(Poisson(jnp.asarray(other)))
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    assert Poisson(jnp.asarray(one)).kl(Poisson(jnp.asarray(one))) == 0


def test_states():
    states = Poisson(jnp.full(2, -6.0), most=3).states()
    np.testing.assert_array_equal(states, np.indices((4, 4)).reshape(2, -1).T)


# What `Exact` leaves out


@pytest.mark.parametrize("log_rate", [0.3, 1.5, 2.7])
@pytest.mark.parametrize("most", [8, 15, 40])
@pytest.mark.first_cases(3)
def test_bounds_hold_and_are_close(float64, log_rate, most):
    """The probability of the tail, and the sum of |score| over it."""
    rate, counts = np.exp(log_rate), np.arange(most + 1, 300)
    tail = law(log_rate).pmf(counts)
    value, (of_slope,) = Poisson(jnp.array([log_rate]), most).tail_bounds()
    slope_beyond = (tail * abs(counts - rate)).sum()
    assert tail.sum() <= value * (1 + 1e-9) and slope_beyond <= of_slope * (1 + 1e-9)
    if rate < most / 2:
        assert value < 1.2 * tail.sum()
    if rate < most:
        np.testing.assert_allclose(of_slope, slope_beyond, rtol=1e-9)


@pytest.mark.parametrize("most", [12, 20, 63])
@pytest.mark.first_cases(1)
def test_exact_is_within_its_bounds(float64, most):
    """An f that is one beyond, and minus one up to, what is enumerated."""
    log_rate = jnp.array([0.3, 0.5])

    def f(x):
        return jnp.where((x > most).any(), 1.0, -1.0)

    gradient = jax.jit(jax.value_and_grad(lambda q: Exact()(KEY, q, f)))
    value, slope = gradient(Poisson(log_rate, most))
    inside = law(log_rate).cdf(most)
    wanted = 1 - 2 * inside.prod()
    slopes = 2 * np.exp(log_rate) * law(log_rate).pmf(most) * inside[::-1]
    bounds = Poisson(log_rate, most).tail_bounds()
    assert abs(value - wanted) <= 2 * bounds[0] + 1e-15
    assert (abs(slope.log_rate - slopes) <= 2 * bounds[1] + 1e-15).all()


def test_several_variables_share_a_bound(float64):
    log_rate, counts = np.array([0.0, 1.0]), np.arange(100)
    q = Poisson(jnp.asarray(log_rate), most=6)
    one, two = (law(a).pmf(counts) for a in log_rate)
    joint = np.multiply.outer(one, two)
    outside = np.maximum.outer(counts, counts) > 6
    value, slopes = q.tail_bounds()
    assert (joint * outside).sum() <= value < 1.5 * (joint * outside).sum()
    for axis in 0, 1:
        score = abs(counts - np.exp(log_rate[axis]))
        score = score[:, None] if axis == 0 else score[None]
        assert (joint * outside * score).sum() <= slopes[axis]


def test_exact_refuses_what_it_leaves_out():
    q = Poisson(jnp.array([3.0, 1.0]), most=30)
    reason = Exact().refusal(q)
    assert "above most=30" in reason and "0.02" in reason and "rates up to 20.09" in reason
    with pytest.raises(ValueError, match=r"Exact: counts above most=30, .* at most 1e-06 is"):
        Exact()(KEY, q, jnp.sum)
    with pytest.raises(ValueError, match="10.* states; at most 1,048,576"):
        Exact()(KEY, Poisson(jnp.zeros(20)), jnp.sum)
    assert Exact().refusal(Poisson(q.log_rate, most=63)) is None


def test_exact_is_nan_where_it_cannot_refuse():
    @jax.jit
    @jax.value_and_grad
    def loss(log_rate):
        return Exact()(KEY, Poisson(log_rate, most=30), jnp.sum)

    assert np.isfinite(loss(jnp.array([1.0, 0.0]))[0])
    assert all(np.isnan(found).any() for found in loss(jnp.array([3.0, 1.0])))


def test_concrete_rates_are_known_inside_jit():
    q = Poisson(jnp.array([3.0]), most=30)
    with pytest.raises(ValueError, match="above most=30"):
        jax.jit(lambda: Exact()(KEY, q, jnp.sum))()


# Bad input


@pytest.mark.parametrize(
    ("distribution", "error", "message"),
    [
        (Poisson(np.zeros(3, int)), TypeError, "Poisson log_rate must be float32 or float64"),
        (Poisson(np.float32([0, np.inf])), ValueError, "Poisson log_rate must be finite"),
        (Poisson(np.float32([0, np.nan])), ValueError, "Poisson log_rate must be finite"),
        (Poisson(np.float32([14])), ValueError, r"Poisson log_rate must be at most 13\.8155"),
        (Poisson(np.zeros(3, "f"), 0), ValueError, "Poisson most must be at least 1"),
        (Poisson(np.zeros(3, "f"), 2.0), TypeError, "Poisson most must be an integer"),
    ],
)
def test_check_refuses(distribution, error, message):
    with pytest.raises(error, match=message):
        distribution.check()
    with pytest.raises(error, match=message):
        ScoreFunction()(KEY, distribution, jnp.sum)


def test_rates_that_are_traced_and_too_large():
    loss = jax.jit(lambda log_rate: ScoreFunction()(KEY, Poisson(log_rate), jnp.sum))
    assert np.isnan(loss(jnp.array([14.0]))) and loss(jnp.array([13.8])) > 9e5


def test_identity_is_of_logits():
    with pytest.raises(TypeError, match="takes Bernoulli or Categorical, not Poisson"):
        StraightThrough("identity")(KEY, Poisson(jnp.zeros(2)), jnp.sum)


@functools.partial(jax.jit, static_argnums=0)
def mean_of(estimator, log_rate):
    keys = jax.random.split(KEY, 2**16)
    return jax.vmap(jax.grad(lambda a, key: estimator(key, Poisson(a), jnp.sum)), (None, 0))(
        log_rate, keys
    )


def test_large_rates_have_finite_gradients():
    """Of a linear f, by a score that is a difference of large numbers."""
    log_rate = jnp.log(jnp.array([1e5]))
    found = np.asarray(mean_of(StraightThrough(), log_rate))
    np.testing.assert_allclose(found, 1e5, rtol=1e-5)
    wanted = slope(lambda x: np.exp(x), np.log(1e5))
    scores = np.asarray(Poisson(log_rate).score(jnp.array([100_500.0])).log_rate)
    np.testing.assert_allclose(scores, 100_500 - wanted, rtol=1e-3)
