"""Estimators of dependent samples against their definitions, gradient by gradient.

A definition is written in numpy for given noise. Where the pair's law has few cells, mean and
variance are exact sums over them. All in float64, compared to rounding.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from estimators import ARM, ARMS, Bernoulli, DisARM, ImportanceBound, LocalDisARM
from tests.estimators.helpers.enumeration import antithetic_cells, exact, moments, per_key
from tests.estimators.helpers.scripted import logistic_keys
from tests.estimators.helpers.truth import expectation
from tests.estimators.test_definitions import coupled, sigmoid

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

# Skewed, both ways.
BITS = np.array([-4.0, 0.7, 2.5])
CHANCE = sigmoid(BITS)


def f_of(samples):
    """Evaluate f at samples `[..., 3]`."""
    flat = jnp.asarray(samples.reshape(-1, BITS.size))
    return np.asarray(jax.vmap(coupled)(flat)).reshape(samples.shape[:-1])


def pair(noise):
    """The antithetic pair of logistic noise."""
    u = sigmoid(noise)
    return (u > 1 - CHANCE).astype(float), (u < CHANCE).astype(float)


def arm(noise):
    first, second = pair(noise)
    return (f_of(first) - f_of(second))[:, None] * (sigmoid(noise) - 0.5)


def disarm(noise):
    first, second = pair(noise)
    sign = (-1) ** second * (first != second)
    return (f_of(first) - f_of(second))[:, None] / 2 * sign * sigmoid(np.abs(BITS))


@pytest.mark.parametrize(
    ("estimator", "definition"), [(ARM(), arm), (DisARM(), disarm)], ids=["ARM", "DisARM"]
)
def test_pair(estimator, definition):
    """As defined for any noise; unbiased, value and gradient, over all of it."""
    noise = np.random.default_rng(0).logistic(size=(200, 3))
    _, gradients = per_key(estimator, Bernoulli, BITS, logistic_keys(noise[:, None]), coupled)
    np.testing.assert_allclose(gradients, definition(noise), rtol=1e-11, atol=1e-12)

    noise, chance = antithetic_cells(BITS)
    values, gradients = per_key(estimator, Bernoulli, BITS, logistic_keys(noise[:, None]), coupled)
    value, gradient = exact(Bernoulli, BITS, coupled)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    np.testing.assert_allclose(chance @ gradients, gradient, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(values, sum(map(f_of, pair(noise))) / 2, rtol=1e-12)


@pytest.mark.parametrize("logit", [-4.0, 0.3, 4.0])
def test_one_bit(logit):
    """Mean and variance of one bit in closed form, from the two values of f alone."""
    s = sigmoid(logit)
    step, rare = -2.6, min(s, 1 - s)

    def f(z):
        return 0.7 + step * z[0] ** 3

    closed = {
        # The step, half of it times the larger chance, where the pair differs.
        DisARM(): 2 * rare * (step * (1 - rare) / 2) ** 2,
        # The noise is at least 1/2 - rare away from 1/2 there.
        ARM(): 2 * step**2 * (0.5**3 - (0.5 - rare) ** 3) / 3,
    }
    noise, chance = antithetic_cells([logit], order=2)
    for estimator, square in closed.items():
        keys = logistic_keys(noise[:, None])
        mean, variance = moments(chance, per_key(estimator, Bernoulli, [logit], keys, f)[1])
        truth = s * (1 - s) * step
        np.testing.assert_allclose(mean, [truth], rtol=1e-11, err_msg=str(estimator))
        np.testing.assert_allclose(variance, [square - truth**2], rtol=1e-10)


# ARMS


def both_ones(chance, count, copula):
    """P(b_1 = b_2 = 1) of two of the samples."""
    rare = np.minimum(chance, 1 - chance)
    if copula == "dirichlet":
        both = np.maximum(2 * rare ** (1 / (count - 1)) - 1, 0) ** (count - 1)
        return np.where(chance > 0.5, 2 * chance - 1 + both, both)
    threshold, correlation = norm.ppf(chance), -1 / (count - 1)
    law = multivariate_normal(cov=[[1, correlation], [correlation, 1]], allow_singular=True)
    return np.array([law.cdf([t, t]) for t in threshold])


def repelled(noise, copula):
    """The samples `[N, n, 3]` of logistic noise `[N, n, 3]`."""
    count = noise.shape[1]
    if copula == "gaussian":
        normals = norm.ppf(sigmoid(noise))
        shifted = normals - normals.mean(1, keepdims=True)
        return (norm.cdf(shifted * np.sqrt(count / (count - 1))) > 1 - CHANCE).astype(float)
    shares = np.log1p(np.exp(np.where(CHANCE > 0.5, -noise, noise)))
    u = (1 - shares / shares.sum(1, keepdims=True)) ** (count - 1)
    return np.where(CHANCE > 0.5, 1 - u < CHANCE, u < CHANCE).astype(float)


def debias(count, copula):
    return CHANCE * (1 - CHANCE) / (CHANCE - both_ones(CHANCE, count, copula))


def arms(noise, copula):
    samples = repelled(noise, copula)
    values = f_of(samples)
    count = noise.shape[1]
    signal = (values - values.mean(1, keepdims=True)) / (count - 1)
    return (signal[..., None] * (samples - CHANCE)).sum(1) * debias(count, copula)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("copula", ["dirichlet", "gaussian"])
def test_arms(copula, count):
    """As defined for any noise; the value is the mean of f."""
    noise = np.random.default_rng(0).logistic(size=(300, count, 3))
    keys = logistic_keys(noise)
    values, gradients = per_key(ARMS(count, copula), Bernoulli, BITS, keys, coupled)
    np.testing.assert_allclose(gradients, arms(noise, copula), rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(values, f_of(repelled(noise, copula)).mean(1), rtol=1e-11)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("copula", ["dirichlet", "gaussian"])
def test_arms_is_unbiased_given_the_law_of_its_pairs(copula, count):
    """Every pair has one law, so the mean is that of one pair: a sum over its states."""
    states = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    ones = both_ones(CHANCE, count, copula)
    law = np.array([[1 - 2 * CHANCE + ones, CHANCE - ones], [CHANCE - ones, ones]])
    first, second = states[:, None].astype(int), states[None].astype(int)
    chance = law[first, second, np.arange(3)].prod(-1)
    step = (f_of(states)[:, None] - f_of(states)[None]) * chance
    mean = (step[..., None] * (first - second)).sum((0, 1)) / 2 * debias(count, copula)
    truth = exact(Bernoulli, BITS, coupled)[1]
    np.testing.assert_allclose(mean, truth, rtol=1e-6 if copula == "gaussian" else 1e-11)


@pytest.mark.parametrize("copula", ["dirichlet", "gaussian"])
def test_the_law_of_arms_pairs(copula):
    """The samples as defined have the law that the weight assumes."""
    total, count = 400_000, 3
    samples = repelled(np.random.default_rng(1).logistic(size=(total, count, 3)), copula)
    for found, wanted in (
        (samples[:, 0], CHANCE),
        (samples[:, 2], CHANCE),
        (samples[:, 0] * samples[:, 1], both_ones(CHANCE, count, copula)),
        (samples[:, 1] * samples[:, 2], both_ones(CHANCE, count, copula)),
    ):
        error = np.sqrt(wanted * (1 - wanted) / total)
        assert np.all(np.abs(found.mean(0) - wanted) < 4 * error + 1e-7)


# Multi-sample bounds


def log_joint(z):
    return 1.5 * jnp.sin(2 * z[0] + z[1]) - z[0] * z[1]


def bound_per_key(estimator, keys, num_samples, logits):
    """Value and gradient of the bound, whose log-weight holds the live logits."""

    def loss(logits, key):
        q = Bernoulli(logits)
        bound = ImportanceBound(lambda z: log_joint(z) - q.log_prob(z))
        return estimator(key, q.independent(num_samples), bound)

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss), (None, 0)))(logits, keys)
    return np.asarray(values), np.asarray(slopes)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("num_samples", [1, 2, 3])
def test_local_disarm(num_samples):
    """Over every cell of the noise: the mean is the bound's gradient, its own one included."""
    logits = np.array([-1.5, 0.4])
    noise, chance = antithetic_cells(np.tile(logits, (num_samples, 1)))
    keys = logistic_keys(noise[:, None])
    values, gradients = bound_per_key(LocalDisARM(), keys, num_samples, logits)

    @jax.jit
    @jax.value_and_grad
    def written_out(logits):
        q = Bernoulli(logits)

        def f(z):
            weights = [jnp.exp(log_joint(each) - q.log_prob(each)) for each in z]
            return -jnp.log(sum(weights) / num_samples)

        return expectation(None, q.independent(num_samples), f)

    value, gradient = written_out(logits)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    np.testing.assert_allclose(chance @ gradients, gradient, rtol=1e-11)


def test_local_disarm_sample_by_sample():
    """As defined: replace one sample at a time by its antithetic one, in both directions."""
    logits, num_samples = np.array([-1.5, 0.4]), 3
    noise = np.random.default_rng(0).logistic(size=(100, num_samples, 2))
    u, chance = sigmoid(noise), sigmoid(logits)
    first, second = (u > 1 - chance).astype(float), (u < chance).astype(float)

    def log_weight(z):
        return 1.5 * np.sin(2 * z[..., 0] + z[..., 1]) - z[..., 0] * z[..., 1]

    def bound(z):
        return -np.log(np.exp(log_weight(z)).mean(-1))

    defined = np.zeros_like(noise)
    for i in range(num_samples):
        for those, sign in ((first, 1), (second, -1)):
            other = those.copy()
            other[:, i] = np.where(sign > 0, second, first)[:, i]
            step = sign * (bound(those) - bound(other)) / 2
            differ = first[:, i] - second[:, i]
            defined[:, i] += step[:, None] * differ / 2 * sigmoid(np.abs(logits))

    def loss(logits, key):
        f = ImportanceBound(lambda z: 1.5 * jnp.sin(2 * z[0] + z[1]) - z[0] * z[1])
        return LocalDisARM()(key, Bernoulli(logits), f)

    tiled, keys = np.tile(logits, (num_samples, 1)), logistic_keys(noise[:, None])
    gradients = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(tiled, keys)
    np.testing.assert_allclose(gradients, defined, rtol=1e-11, atol=1e-13)
