"""Relaxed counts: their moments, their limit at temperature zero, and where they are cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from estimators import ArrivalTimes, Pathwise, RelaxedCount, ScoreFunction
from tests.estimators.helpers.laws import LEAST_P_VALUE, Compiled, repeat

pytestmark = pytest.mark.usefixtures("strict_dtypes")

KEY = jax.random.key(31)
COUNT = 2**16
RATE = 3.0
INDICATORS = ["sigmoid", "hard_sigmoid", "cubic"]


def indicate(indicator, x):
    u = np.clip((x + 1) / 2, 0, 1)
    return {
        "sigmoid": 1 / (1 + np.exp(-x)),
        "hard_sigmoid": u,
        "cubic": 3 * u**2 - 2 * u**3,
    }[indicator]


def campbell(indicator, temperature, power):
    """The integral of a power of g over all times, by Campbell's theorem a cumulant per rate."""

    def integrand(t):
        return indicate(indicator, (1 - t) / temperature) ** power

    ends = sorted({0.0, max(1 - temperature, 0), 1.0, 1 + temperature, 1 + 40 * temperature})
    parts = zip(ends, ends[1:], strict=False)
    return sum(scipy.integrate.quad(integrand, *part, epsabs=1e-12)[0] for part in parts)


def arrivals(temperature, indicator="sigmoid", most=25):
    q = ArrivalTimes(repeat(np.log(RATE), COUNT, "f"), np.float32(temperature), most, indicator)
    return np.asarray(Compiled(q).sample(KEY), np.float64)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("indicator", INDICATORS)
def test_moments_of_arrivals(indicator, temperature):
    samples = arrivals(temperature, indicator, 120 if indicator == "sigmoid" else 25)
    mean, variance = (RATE * campbell(indicator, temperature, power) for power in (1, 2))
    error = samples.std() / np.sqrt(COUNT)
    assert abs(samples.mean() - mean) < 4.5 * error
    spread = ((samples - samples.mean()) ** 2).std() / np.sqrt(COUNT)
    assert abs(samples.var() - variance) < 4.5 * spread
    q = ArrivalTimes(jnp.log(jnp.array([RATE])), temperature, 25, indicator)
    np.testing.assert_allclose(q.mean, mean, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.2, 0.7, 1.0])
def test_closed_forms(temperature):
    """The mean and the variance per rate that the class states."""
    cubic, hard, soft = (
        [campbell(name, temperature, power) for power in (1, 2)]
        for name in ("cubic", "hard_sigmoid", "sigmoid")
    )
    np.testing.assert_allclose(cubic, [1, 1 - 9 * temperature / 35], rtol=1e-9)
    np.testing.assert_allclose(hard, [1, 1 - temperature / 3], rtol=1e-9)
    mean = temperature * np.log1p(np.exp(1 / temperature))
    less = temperature / (1 + np.exp(-1 / temperature))
    np.testing.assert_allclose(soft, [mean, mean - less], rtol=1e-8)


def test_arrivals_at_temperature_zero_are_poisson():
    samples = arrivals(1e-4)
    assert (abs(samples - np.round(samples)) > 1e-3).mean() < 1e-2
    hits = np.bincount(np.round(samples).astype(int), minlength=13)[:13]
    chance = scipy.stats.poisson.pmf(np.arange(12), RATE)
    hits = np.append(hits[:12], COUNT - hits[:12].sum())
    found = scipy.stats.chisquare(hits, COUNT * np.append(chance, 1 - chance.sum()))
    assert found.pvalue > LEAST_P_VALUE


def gradients(q, f):
    keys = jax.random.split(KEY, COUNT)
    slope = jax.vmap(lambda key: jax.grad(lambda q: Pathwise()(key, q, f))(q).log_rate)
    return np.asarray(jax.jit(slope)(keys), np.float64)


def test_bias_of_a_square():
    """Of a cubic indicator, -9 temperature / 35 per unit rate; a linear f has none."""
    q = ArrivalTimes(jnp.log(jnp.array([RATE])), 0.5, 25, "cubic")
    for f, wanted in (
        (lambda x: x.sum(), RATE),
        (lambda x: (x**2).sum(), 2 * RATE**2 + RATE * (1 - 9 * 0.5 / 35)),
    ):
        found = gradients(q, f)
        assert abs(found.mean() - wanted) < 4.5 * found.std() / np.sqrt(COUNT)


# Counts by Gumbel-softmax


def test_classes_are_the_probabilities_and_what_is_left(float64):
    for rate, most in ((1e-3, 3), (3.0, 15), (60.0, 100)):
        q = RelaxedCount(jnp.log(jnp.array([rate])), 0.5, most)
        counts = np.arange(most)
        wanted = [
            *scipy.stats.poisson.logpmf(counts, rate),
            scipy.stats.poisson(rate).logsf(most - 1),
        ]
        np.testing.assert_allclose(q.log_classes()[0], wanted, rtol=1e-10)
        slopes = jax.jacobian(lambda a, most=most: RelaxedCount(a, 0.5, most).log_classes()[0])(
            q.log_rate
        )
        chances = np.exp(wanted)
        np.testing.assert_allclose(chances @ slopes, 0, atol=1e-12)
        np.testing.assert_allclose(slopes[:-1, 0], counts - rate, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("temperature", "mean", "variance"), [(1.0, 3.16, 0.89), (0.5, 3.03, 1.69), (0.1, 3.00, 2.70)]
)
def test_moments_of_relaxed_counts(temperature, mean, variance):
    """Against numbers computed without the library."""
    q = RelaxedCount(repeat(np.log(RATE), COUNT, "f"), np.float32(temperature), 14)
    samples = np.asarray(Compiled(q).sample(KEY), np.float64)
    np.testing.assert_allclose(samples.mean(), mean, atol=0.02)
    np.testing.assert_allclose(samples.var(), variance, atol=0.04)


def test_relaxed_counts_at_temperature_zero_are_poisson():
    q = RelaxedCount(repeat(np.log(RATE), COUNT, "f"), np.float32(1e-4), 14)
    samples = np.asarray(Compiled(q).sample(KEY))
    hits = np.bincount(np.round(samples).astype(int), minlength=11)
    chance = scipy.stats.poisson.pmf(np.arange(10), RATE)
    hits = np.append(hits[:10], COUNT - hits[:10].sum())
    found = scipy.stats.chisquare(hits, COUNT * np.append(chance, 1 - chance.sum()))
    assert found.pvalue > LEAST_P_VALUE


# Bad input


@pytest.mark.parametrize("cls", [ArrivalTimes, RelaxedCount])
def test_check_refuses(cls):
    zeros = np.zeros(3, np.float32)
    for wrong, error, message in (
        (cls(np.zeros(3, int), 0.5, 9), TypeError, "log_rate must be float32"),
        (cls(zeros + np.inf, 0.5, 9), ValueError, "log_rate must be finite"),
        (cls(zeros, -0.5, 9), ValueError, "temperature must be above zero"),
        (cls(zeros, np.ones(2, "f"), 9), ValueError, r"temperature .*shape \(3,\), not \(2,"),
        (cls(zeros, 0.5, 0), ValueError, "most must be at least 1"),
        (cls(zeros, 0.5, 3), ValueError, "most=3 is too low: larger counts have .* 0.02, and may"),
    ):
        with pytest.raises(error, match=f"{cls.__name__} {message}"):
            wrong.check()
    with pytest.raises(ValueError, match="one of sigmoid, hard_sigmoid, cubic, not 'relu'"):
        ArrivalTimes(zeros, 0.5, 9, "relu").check()
    cls(zeros, np.ones(3, "f"), 9).check()


@pytest.mark.parametrize("cls", [ArrivalTimes, RelaxedCount])
def test_a_cut_that_is_too_low_for_traced_rates(cls):
    loss = jax.jit(lambda log_rate: Pathwise()(KEY, cls(log_rate, 0.5, 9), jnp.sum))
    assert np.isfinite(loss(jnp.zeros(2))) and np.isnan(loss(jnp.array([0.0, 2.0])))


@pytest.mark.parametrize("cls", [ArrivalTimes, RelaxedCount])
def test_no_density(cls):
    q = cls(jnp.zeros(2), 0.5, 9)
    with pytest.raises(NotImplementedError, match=f"{cls.__name__} has no density"):
        q.log_prob(jnp.ones(2))
    with pytest.raises(TypeError, match=f"takes .*, not {cls.__name__}"):
        ScoreFunction()(KEY, q, jnp.sum)
