"""Posterior noise: its law and its gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from estimators import Bernoulli, Categorical
from tests.estimators.helpers.laws import (
    BIT_LOGITS,
    CLASS_LOGITS,
    LEAST_P_VALUE,
    Compiled,
    ks,
    rare_p_values,
    repeat,
    slope,
)

pytestmark = pytest.mark.usefixtures("strict_dtypes")


# Posterior noise --------------------------------------------------------------------------------


def truncated_logistic_cdf(z, logit, bit):
    """P(Z <= z given Z > 0, or Z < 0), Z logistic at the logit; accurate in both tails."""
    sign = 2 * bit - 1
    log_beyond = scipy.special.log_expit(sign * (logit - z)) - scipy.special.log_expit(sign * logit)
    return -np.expm1(log_beyond) if bit else np.exp(log_beyond)


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("logit", [-50.0, -3.0, 0.0, 1.5, 50.0])
def test_posterior_of_a_bit_is_the_truncated_logistic(logit, bit, dtype):
    distribution = Compiled(Bernoulli(jnp.full(2**16, logit, dtype)))
    sample = jnp.full(2**16, bit, dtype)
    posterior = np.asarray(distribution.posterior(jax.random.key(7), sample), float)
    cdf = functools.partial(truncated_logistic_cdf, logit=logit, bit=bit)
    assert ks(posterior, cdf) > LEAST_P_VALUE


@pytest.mark.many_samples
@pytest.mark.parametrize(
    ("logit", "bit"), [(-3.0, 1), pytest.param(10.0, 0, marks=pytest.mark.slow)]
)
def test_posterior_of_a_bit_has_the_right_tails(logit, bit):
    distribution = Bernoulli(jnp.full(2**20, logit, jnp.float32))
    sample = jnp.full(2**20, bit, jnp.float32)
    rates = np.array([1e-6, 1e-8])
    # Away from zero: P(|Z| > z) = expit(+-logit - z) / size. Close to it: the rest.
    size = scipy.special.expit(logit if bit else -logit)
    far = (logit if bit else -logit) - scipy.special.logit(rates * size)
    near = (logit if bit else -logit) - scipy.special.logit((1 - rates) * size)

    def draw(key):
        distance = jnp.abs(distribution.posterior(key, sample))
        return jnp.stack([distance > z for z in far] + [distance < z for z in near])

    # At 1e-8, 1.3 hits; noise in JAX's default mode would make 16.
    assert rare_p_values(draw, [*rates, *rates], 2**7).min() > LEAST_P_VALUE


def test_posterior_of_a_bit_averages_to_the_prior(dtype):
    distribution = Compiled(Bernoulli(repeat(BIT_LOGITS, 2**16, dtype)))
    sample_key, posterior_key = jax.random.split(jax.random.key(8))
    posterior = np.asarray(distribution.posterior(posterior_key, distribution.sample(sample_key)))
    for i, logit in enumerate(BIT_LOGITS):
        assert ks(posterior[:, i], scipy.stats.logistic(logit).cdf) > LEAST_P_VALUE


def gumbel_level(z, location):
    """The Gumbel CDF."""
    return np.exp(-np.exp(location - z))


def centred(logits):
    """The logits to which the library adds noise."""
    return np.asarray(logits, float) - np.max(logits)


def posterior_levels(logits, winner, posterior):
    """Levels of the posterior under its conditional laws: independent uniforms, if it is right.

    The maximum is a Gumbel variable; each other one a Gumbel variable truncated at the maximum.
    """
    logits, posterior = centred(logits), np.asarray(posterior, float)
    maximum = posterior[:, winner, None]
    levels = np.exp(np.exp(logits - maximum) - np.exp(logits - posterior))
    levels[:, winner] = gumbel_level(maximum[:, 0], scipy.special.logsumexp(logits))
    return levels


@pytest.mark.first_cases(9)
@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], [0.5, -3.0, 2.0], [1.0, -50.0, 50.0]], ids=str)
def test_posterior_of_a_class_is_the_truncated_gumbel(logits, winner, dtype):
    count = 2**16
    distribution = Compiled(Categorical(repeat(logits, count, dtype)))
    sample = repeat(np.eye(3)[winner], count, dtype)
    posterior = distribution.posterior(jax.random.key(9), sample)
    levels = posterior_levels(logits, winner, posterior)
    for level in levels.T:
        assert ks(level, scipy.stats.uniform.cdf) > LEAST_P_VALUE
    cells = np.histogramdd(levels, bins=4, range=[(0, 1)] * 3)[0]
    assert scipy.stats.chisquare(cells.ravel()).pvalue > LEAST_P_VALUE


@pytest.mark.slow
def test_posterior_of_a_class_has_the_right_tails():
    logits, rate = np.float32(centred([0.5, -3.0, 2.0])), 1e-6
    distribution = Categorical(jnp.broadcast_to(logits, (2**20, 3)))
    sample = repeat([1.0, 0.0, 0.0], 2**20, "float32")
    law = scipy.stats.gumbel_r(scipy.special.logsumexp(logits))

    def draw(key):
        maximum, *others = distribution.posterior(key, sample).T
        # Levels below the rate, under the Gumbel law truncated at the maximum.
        low = [
            location - jnp.log(jnp.exp(location - maximum) - np.log(rate)) > other
            for location, other in zip(logits[1:], others, strict=True)
        ]
        return jnp.stack([maximum < law.ppf(rate), maximum > law.isf(rate), *low])

    assert rare_p_values(draw, [rate] * 4, 2**5).min() > LEAST_P_VALUE


def test_posterior_of_a_class_averages_to_the_prior(dtype):
    distribution = Compiled(Categorical(repeat(CLASS_LOGITS, 2**16, dtype)))
    sample_key, posterior_key = jax.random.split(jax.random.key(10))
    posterior = distribution.posterior(posterior_key, distribution.sample(sample_key))
    levels = gumbel_level(np.asarray(posterior, float), centred(CLASS_LOGITS))
    for level in levels.T:
        assert ks(level, scipy.stats.uniform.cdf) > LEAST_P_VALUE
    cells = np.histogramdd(levels, bins=4, range=[(0, 1)] * 4)[0]
    assert scipy.stats.chisquare(cells.ravel()).pvalue > LEAST_P_VALUE


@pytest.mark.many_samples
@pytest.mark.parametrize("cls", [Bernoulli, Categorical])
def test_posterior_stands_for_its_sample(cls):
    # Rounding ties a class to the maximum at rates of 1e-7 to, at logits of 1000, 1e-5.
    @jax.jit
    def count_wrong(key, logit):
        def chunk(total, key):
            sample_key, posterior_key = jax.random.split(key)
            shape = (2**18, 3) if cls is Categorical else (2**18,)
            distribution = cls(jnp.broadcast_to(logit, shape))
            sample = distribution.sample(sample_key)
            posterior = distribution.posterior(posterior_key, sample)
            return total + jnp.sum(distribution.hard(posterior) != sample), None

        return jax.lax.scan(chunk, jnp.int32(0), jax.random.split(key, 2**3))[0]

    for logit in (0.0, 1.0, -1.0, 50.0, -50.0, 1000.0, -1000.0):
        assert count_wrong(jax.random.key(11), logit) == 0


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("logit", [-50.0, 0.0, 50.0])
def test_posterior_at_extreme_logits_is_finite_and_has_finite_gradients(logit):
    key, count = jax.random.key(12), 2**12
    bits = Bernoulli(jnp.full(count, logit))
    classes = Categorical(repeat([logit, 0.0, -logit], count, "float32"))

    @jax.jit
    def compute_all(distribution, sample):
        posterior, pull = jax.vjp(lambda q: q.posterior(key, sample), distribution)
        cotangent = jnp.cos(jnp.arange(posterior.size, dtype=jnp.float32))
        (gradient,) = pull(cotangent.reshape(posterior.shape))
        return posterior, distribution.hard(posterior), gradient.logits

    for distribution, samples in (
        (bits, [np.zeros(count, np.float32), np.ones(count, np.float32)]),
        (classes, np.broadcast_to(np.eye(3, dtype=np.float32)[:, None], (3, count, 3))),
    ):
        for sample in samples:
            # Possible or not: every sample.
            posterior, back, gradient = compute_all(distribution, sample)
            assert np.isfinite(posterior).all() and np.isfinite(gradient).all()
            np.testing.assert_array_equal(back, sample)


@pytest.mark.parametrize("bit", [0, 1])
def test_gradient_of_the_posterior_of_a_bit_is_that_of_its_inverse_cdf(bit, float64):
    logits = np.linspace(-6, 6, 200)
    sample = jnp.full(200, bit, float64)

    def draw(logits):
        return Bernoulli(logits).posterior(jax.random.key(13), sample)

    posterior = np.asarray(jax.jit(draw)(jnp.asarray(logits)))
    gradient = jax.jit(jax.grad(lambda logits: draw(logits).sum()))(jnp.asarray(logits))
    # At a fixed level, dz/dlogit = -(dF/dlogit) / (dF/dz); F's logarithm does as well.
    sign = 2 * bit - 1

    def log_level(z, logit):
        return scipy.special.log_expit(sign * (logit - z)) - scipy.special.log_expit(sign * logit)

    by_logit = slope(lambda logit: log_level(posterior, logit), logits)
    by_value = slope(lambda z: log_level(z, logits), posterior)
    np.testing.assert_allclose(gradient, -by_logit / by_value, rtol=1e-7, atol=1e-9)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("winner", [0, 1, 3])
def test_gradient_of_the_posterior_of_a_class_is_that_of_its_inverse_cdf(winner, float64):
    logits = np.array(CLASS_LOGITS)
    sample = jnp.eye(4, dtype=float64)[winner]

    def draw(key, logits):
        return Categorical(logits).posterior(key, sample)

    keys = jax.random.split(jax.random.key(14), 5)
    posteriors, jacobians = (
        np.asarray(jax.jit(jax.vmap(one, (0, None)))(keys, jnp.asarray(logits)))
        for one in (draw, jax.jacobian(draw, argnums=1))
    )
    for posterior, jacobian in zip(posteriors, jacobians, strict=True):
        maximum = posterior[winner]
        expected = np.zeros((4, 4))
        for k in range(4):

            def shifted(step, k=k):
                return scipy.special.logsumexp(logits + step * np.eye(4)[k])

            # Logarithms of the levels that the draw keeps, differentiated implicitly.
            by_logit = slope(lambda step, z=maximum: -np.exp(shifted(step) - z), 0.0)
            by_value = slope(lambda z: -np.exp(shifted(0.0) - z), maximum)
            expected[winner, k] = -by_logit / by_value
            for j in set(range(4)) - {winner}:

                def log_level(z, maximum, location):
                    return np.exp(location - maximum) - np.exp(location - z)

                at = posterior[j], maximum, logits[j]
                by_value, by_maximum, by_logit = (
                    slope(lambda x, at=at, i=i: log_level(*at[:i], x, *at[i + 1 :]), at[i])
                    for i in range(3)
                )
                change = by_maximum * expected[winner, k] + by_logit * (j == k)
                expected[j, k] = -change / by_value
        np.testing.assert_allclose(jacobian, expected, rtol=1e-7, atol=1e-9)
