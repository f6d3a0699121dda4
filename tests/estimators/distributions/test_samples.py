"""The laws of hard and relaxed samples."""

import itertools

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
    softmax,
)

pytestmark = pytest.mark.usefixtures("strict_dtypes")


# Hard samples -----------------------------------------------------------------------------------


def joint_counts(distribution, num_samples, key):
    """How often each state is drawn, and its probability."""
    keys = jax.random.split(key, num_samples)
    distribution = Compiled(distribution)
    samples = np.asarray(distribution.each("sample", keys))
    states = np.asarray(distribution.states())
    same = (samples.reshape(num_samples, 1, -1) == states.reshape(1, len(states), -1)).all(-1)
    assert (same.sum(1) == 1).all()
    return same.sum(0), np.exp(np.asarray(distribution.each("log_prob", states), float))


@pytest.mark.first_cases(5)
@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: Bernoulli(jnp.array(BIT_LOGITS, dtype)),
        lambda dtype: Categorical(jnp.array(CLASS_LOGITS, dtype)),
        lambda dtype: Categorical(jnp.array([[0.5, -1.0, 0.0], [2.0, 0.0, 1.0]], dtype)),
        lambda dtype: Bernoulli(jnp.array([0.7], dtype)).independent(3),
        lambda dtype: Categorical(jnp.array([0.5, -1.0, 0.0], dtype)).independent(2),
    ],
    ids=["bits", "class", "classes", "copies of a bit", "copies of a class"],
)
def test_samples_have_the_joint_law(make, dtype):
    counts, probabilities = joint_counts(make(dtype), 2**17, jax.random.key(0))
    expected = probabilities * counts.sum()
    assert expected.min() > 5
    assert scipy.stats.chisquare(counts, expected, sum_check=False).pvalue > LEAST_P_VALUE


@pytest.mark.slow
def test_rare_bits_are_drawn_at_their_rate():
    # Also with p = 1 less the rate; and 1e-8 is 1.3 hits, where JAX's default mode has 16.
    logits = scipy.special.logit([1e-6, 1e-7, 1e-8]).astype(np.float32)
    rates = scipy.special.expit(logits.astype(float))

    def draw(key):
        # The same noise for all.
        bits = [Bernoulli(jnp.full(2**20, logit)) for logit in (*logits, *-logits)]
        noise = bits[0].noise(key)
        samples = [bit.hard(bit.perturb(noise)) for bit in bits]
        return jnp.stack(samples) == jnp.array([[1], [1], [1], [0], [0], [0]], jnp.float32)

    assert rare_p_values(draw, [*rates, *rates], 2**7).min() > LEAST_P_VALUE

    def draw_default(key):
        return jax.random.bernoulli(key, 1e-8, (1, 2**20))

    assert rare_p_values(draw_default, [1e-8], 2**7).min() < LEAST_P_VALUE


@pytest.mark.slow
def test_rare_classes_are_drawn_at_their_rate():
    # Ten hits or more of each are expected: none at all would fail.
    logits = np.float32([scipy.special.logit(1e-6), 0, scipy.special.logit(2e-7)])
    rates = softmax(logits)[[0, 2]]

    def draw(key):
        sample = Categorical(jnp.broadcast_to(logits, (2**20, 3))).sample(key)
        return sample[:, [0, 2]].T == 1

    assert rare_p_values(draw, rates, 2**6).min() > LEAST_P_VALUE


@pytest.mark.slow
def test_rare_classes_of_jax_in_its_default_mode_are_not():
    # It never draws this one; we do.
    logits = np.float32([0, -18])
    rate = softmax(logits)[1]

    def draw_default(key):
        return jax.random.categorical(key, jnp.asarray(logits), shape=(1, 2**20)) == 1

    def draw(key):
        return Categorical(jnp.broadcast_to(logits, (1, 2**20, 2))).sample(key)[..., 1] == 1

    assert rare_p_values(draw_default, [rate], 2**10).min() < LEAST_P_VALUE
    assert rare_p_values(draw, [rate], 2**10).min() > LEAST_P_VALUE


def test_saturated_bits_and_classes_are_constant():
    key = jax.random.key(2)
    bits = Compiled(Bernoulli(repeat([-50.0, 50.0], 2**16, "float32"))).sample(key)
    np.testing.assert_array_equal(bits, repeat([0.0, 1.0], 2**16, "float32"))
    classes = Compiled(Categorical(repeat([-50.0, 50.0, 0.0], 2**16, "float32"))).sample(key)
    np.testing.assert_array_equal(classes, repeat([0.0, 1.0, 0.0], 2**16, "float32"))


def test_samples_have_no_gradient():
    for distribution in (Bernoulli(jnp.array(BIT_LOGITS)), Categorical(jnp.array(CLASS_LOGITS))):
        key = jax.random.key(3)
        gradient = jax.jit(jax.grad(lambda q, key=key: q.sample(key).sum()))(distribution)
        np.testing.assert_array_equal(gradient.logits, 0)


def test_a_sample_is_the_hard_map_of_perturbed_logits(dtype):
    # What couples a relaxed sample to a hard one; and one key gives one sample.
    for logits in (BIT_LOGITS, CLASS_LOGITS):
        cls = Bernoulli if len(logits) == 3 else Categorical
        distribution = Compiled(cls(repeat(logits, 1000, dtype)))
        key = jax.random.key(4)
        perturbed = distribution.perturb(distribution.noise(key))
        np.testing.assert_array_equal(distribution.hard(perturbed), distribution.sample(key))
        np.testing.assert_array_equal(distribution.sample(key), distribution.sample(key))


# Relaxed samples --------------------------------------------------------------------------------


@pytest.mark.first_cases(4)
@pytest.mark.parametrize("temperature", [1e-3, 0.5, 2.0, 1e3])
def test_relaxed_samples_have_the_law(temperature, dtype):
    count = 2**16
    bits = Compiled(Bernoulli(repeat(BIT_LOGITS, count, dtype)))
    key = jax.random.key(5)
    perturbed = bits.perturb(bits.noise(key))
    relaxed = bits.relaxed(perturbed, temperature)
    law_of_bits = Compiled(bits.own.relax(temperature))
    in_logit_space = law_of_bits.sample(key)
    np.testing.assert_array_equal(law_of_bits.squash(in_logit_space), relaxed)
    for i, logit in enumerate(BIT_LOGITS):
        law = scipy.stats.logistic(logit / temperature, 1 / temperature)
        assert ks(in_logit_space[:, i], law.cdf) > LEAST_P_VALUE
    classes = Compiled(Categorical(repeat(CLASS_LOGITS, count, dtype)))
    perturbed = classes.perturb(classes.noise(key))
    relaxed = np.asarray(classes.relaxed(perturbed, temperature))
    np.testing.assert_allclose(relaxed.sum(-1), 1, rtol=8 * jnp.finfo(dtype).eps)
    log = np.asarray(Compiled(classes.own.relax(temperature)).sample(key), float)
    # Large logarithms have large rounding errors, and e^x has them relatively.
    tolerance = 16 * jnp.finfo(dtype).eps * np.maximum(1, np.abs(log).max())
    np.testing.assert_allclose(np.exp(log), relaxed, atol=tolerance)
    # The log-ratio of two classes is a logistic variable.
    for i, j in itertools.combinations(range(len(CLASS_LOGITS)), 2):
        location = (CLASS_LOGITS[i] - CLASS_LOGITS[j]) / temperature
        law = scipy.stats.logistic(location, 1 / temperature)
        assert ks(log[:, i] - log[:, j], law.cdf) > LEAST_P_VALUE


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
def test_relaxed_samples_at_extreme_logits_are_finite_and_have_finite_gradients(temperature):
    key = jax.random.key(6)
    for distribution in (
        Bernoulli(repeat([-50.0, 0.0, 50.0], 1000, "float32")),
        Categorical(repeat([-50.0, 0.0, 50.0], 1000, "float32")),
    ):

        def total(q, t):
            relaxed = q.relaxed(q.perturb(q.noise(key)), t)
            weights = jnp.cos(jnp.arange(relaxed.size, dtype=relaxed.dtype)).reshape(relaxed.shape)
            return jnp.sum(weights * relaxed) + jnp.sum(weights * q.relax(t).sample(key))

        gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
        value, gradients = gradient(distribution, temperature)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradients)))
