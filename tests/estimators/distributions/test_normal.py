"""The normal distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from estimators import Normal
from tests.estimators.helpers.laws import LEAST_P_VALUE, Compiled, ks, repeat

pytestmark = pytest.mark.usefixtures("strict_dtypes")


MEAN, LOG_SCALE = np.array([0.3, -2.0, 5.0]), np.array([0.2, -1.5, 1.0])


def test_normal_samples_have_the_law(dtype):
    distribution = Normal(repeat(MEAN, 2**16, dtype), repeat(LOG_SCALE, 2**16, dtype))
    samples = np.asarray(Compiled(distribution).sample(jax.random.key(20)))
    assert samples.dtype == dtype and samples.shape == distribution.event_shape
    for i in range(3):
        law = scipy.stats.norm(MEAN[i], np.exp(LOG_SCALE[i]))
        assert ks(samples[:, i], law.cdf) > LEAST_P_VALUE


def test_normal_density_entropy_and_score(float64):
    distribution = Normal(jnp.asarray(MEAN), jnp.asarray(LOG_SCALE))
    law = scipy.stats.norm(MEAN, np.exp(LOG_SCALE))
    for sample in (MEAN, MEAN + [1.0, -2.0, 30.0]):
        log_prob = distribution.log_prob(jnp.asarray(sample))
        assert log_prob.shape == ()
        np.testing.assert_allclose(log_prob, law.logpdf(sample).sum(), rtol=1e-12)
        score = distribution.score(jnp.asarray(sample))
        standard = (sample - MEAN) / np.exp(LOG_SCALE)
        np.testing.assert_allclose(score.mean, standard / np.exp(LOG_SCALE), rtol=1e-12)
        np.testing.assert_allclose(score.log_scale, standard**2 - 1, rtol=1e-12)
    np.testing.assert_allclose(distribution.entropy(), law.entropy().sum(), rtol=1e-12)


def test_normal_divergence_is_the_integral(float64):
    one = Normal(jnp.asarray(MEAN), jnp.asarray(LOG_SCALE))
    other_mean, other_log_scale = MEAN + [0.5, 1.0, -3.0], LOG_SCALE + [0.4, -0.2, 0.1]
    other = Normal(jnp.asarray(other_mean), jnp.asarray(other_log_scale))
    expected = 0.0
    for i in range(3):
        p = scipy.stats.norm(MEAN[i], np.exp(LOG_SCALE[i]))
        q = scipy.stats.norm(other_mean[i], np.exp(other_log_scale[i]))
        low, high = p.ppf(1e-25), p.isf(1e-25)

        def integrand(x, p=p, q=q):
            return p.pdf(x) * (p.logpdf(x) - q.logpdf(x))

        expected += scipy.integrate.quad(integrand, low, high, epsabs=1e-13, limit=200)[0]
    np.testing.assert_allclose(one.kl(other), expected, rtol=1e-9)
    np.testing.assert_allclose(one.kl(one), 0, atol=1e-14)


def test_normal_samples_are_differentiable(float64):
    distribution = Normal(jnp.asarray(MEAN), jnp.asarray(LOG_SCALE))
    key = jax.random.key(21)
    sample, pull = jax.vjp(lambda q: q.sample(key), distribution)
    (gradient,) = pull(jnp.ones(3))
    np.testing.assert_allclose(gradient.mean, 1)
    np.testing.assert_allclose(gradient.log_scale, np.asarray(sample) - MEAN, rtol=1e-12)
