"""Identities of estimators with dependent samples: when they agree, and which varies less."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import ARM, ARMS, Bernoulli, DisARM, ImportanceBound, LocalDisARM
from tests.estimators.antithetic.test_definitions_antithetic import f_of, repelled
from tests.estimators.helpers.enumeration import antithetic_cells, moments, per_key
from tests.estimators.helpers.scripted import logistic_keys
from tests.estimators.test_definitions import coupled, sigmoid

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

BITS = np.array([-4.0, 0.7, 2.5])


def test_disarm_is_the_mean_of_arm_given_the_pair():
    """ARM is linear in the uniform number, so its mean in a cell is its value at the midpoint."""
    noise, _ = antithetic_cells(BITS)
    keys = logistic_keys(noise[:, None])
    by_arm, by_disarm = (
        per_key(estimator, Bernoulli, BITS, keys, coupled) for estimator in (ARM(), DisARM())
    )
    np.testing.assert_array_equal(by_arm[0], by_disarm[0])
    np.testing.assert_allclose(by_arm[1], by_disarm[1], rtol=1e-11, atol=1e-12)


def test_disarm_varies_less_than_arm_in_every_coordinate():
    """By the mean variance of ARM given the pair."""
    noise, chance = antithetic_cells(BITS, order=2)
    keys = logistic_keys(noise[:, None])
    arm, disarm = (per_key(e, Bernoulli, BITS, keys, coupled)[1] for e in (ARM(), DisARM()))
    (mean, of_arm), (same, of_disarm) = moments(chance, arm), moments(chance, disarm)
    np.testing.assert_allclose(mean, same, rtol=1e-10, atol=1e-12)
    assert np.all(of_disarm < of_arm)
    np.testing.assert_allclose(of_arm - of_disarm, chance @ (arm - disarm) ** 2, rtol=1e-9)


@pytest.mark.parametrize("copula", ["dirichlet", "gaussian"])
def test_two_samples_of_arms_are_disarm(copula):
    """The same function of the pair; and the pair is antithetic: never both rare."""
    noise = np.random.default_rng(0).logistic(size=(500, 2, 3))
    _, gradients = per_key(ARMS(2, copula), Bernoulli, BITS, logistic_keys(noise), coupled)
    samples = repelled(noise, copula)
    first, second = samples[:, 0], samples[:, 1]
    step = f_of(first) - f_of(second)
    weight = (first - second) / 2 * sigmoid(np.abs(BITS))
    np.testing.assert_allclose(gradients, step[:, None] * weight, rtol=1e-9, atol=1e-12)
    common = BITS > 0
    assert not np.any((first != common) & (second != common))
    assert np.any(first != second)


def test_one_sample_of_local_disarm_is_disarm():
    """On the evidence lower bound, value and gradient; its own derivative of log q included."""
    logits = np.array([-1.5, 0.4])
    noise = np.random.default_rng(0).logistic(size=(200, 1, 2))

    def log_weight(logits, z):
        return jnp.sin(2 * z[0] + z[1]) - Bernoulli(logits).log_prob(z)

    def local(logits, key):
        bound = ImportanceBound(lambda z: log_weight(logits, z))
        return LocalDisARM()(key, Bernoulli(logits).independent(1), bound)

    def plain(logits, key):
        return DisARM()(key, Bernoulli(logits), lambda z: -log_weight(logits, z))

    one, other = (
        jax.jit(jax.vmap(jax.value_and_grad(loss), (None, 0)))(logits, logistic_keys(draws))
        for loss, draws in ((local, noise[:, None]), (plain, noise))
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-12)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("estimator", [ARM(), DisARM(), ARMS(3), ARMS(3, "gaussian")], ids=str)
def test_constant_added_to_f(estimator):
    """Leaves the gradient unchanged, sample by sample."""
    keys = jax.random.split(jax.random.key(0), 100)
    _, plain = per_key(estimator, Bernoulli, BITS, keys, coupled)
    _, shifted = per_key(estimator, Bernoulli, BITS, keys, lambda z: coupled(z) + 100)
    np.testing.assert_allclose(shifted, plain, rtol=1e-9, atol=1e-10)


@pytest.mark.first_cases(3)
@pytest.mark.parametrize("copula", ["dirichlet", "gaussian"])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_arms_is_finite_at_every_logit(copula, count):
    logits = np.concatenate([[0.0], np.geomspace(1e-3, 1000, 30)])
    logits = np.concatenate([-logits, logits])
    keys = jax.random.split(jax.random.key(0), 50)
    for dtype in (jnp.float32, jnp.float64):
        cast = jnp.asarray(logits, dtype)
        values, gradients = per_key(ARMS(count, copula), Bernoulli, cast, keys, jnp.sum)
        assert np.isfinite(values).all() and np.isfinite(gradients).all()
