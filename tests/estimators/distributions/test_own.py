"""A discrete distribution of a user's own needs its abstract members only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Discrete, Estimator, Objective, pytree
from estimators.checks import check_count
from estimators.enumeration.classes import class_log_probs


@pytree
class Spins(Discrete):
    """Independent spins of -1 and 1, the latter with the probability of the logit's sigmoid."""

    logits: jax.Array

    @property
    def class_shape(self):
        return self.logits.size, 2

    def noise(self, key):
        return jax.random.logistic(key, self.event_shape, self.dtype)

    def hard(self, perturbed):
        return jnp.sign(perturbed)

    def of_classes(self, classes):
        return (2 * classes - 1).reshape(self.event_shape).astype(self.dtype)

    def squash(self, logits):
        return jnp.tanh(logits / 2)

    def log_probs(self, sample):
        up, down = jax.nn.log_sigmoid(self.logits), jax.nn.log_sigmoid(-self.logits)
        return (1 + sample) / 2 * up + (1 - sample) / 2 * down

    def check(self):
        check_count("Spins logits", self.logits.size, 1)


SPINS = Spins(jnp.array([0.5, -1.0, 2.0]))


def test_the_rest_follows():
    states, log_probs = SPINS.states(), jax.vmap(SPINS.log_prob)(SPINS.states())
    assert len(np.unique(states, axis=0)) == SPINS.num_states == 8
    probabilities = np.exp(log_probs)
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities @ states, SPINS.mean, rtol=1e-5)
    np.testing.assert_allclose(-probabilities @ log_probs, SPINS.entropy(), rtol=1e-5)
    other = SPINS.with_logits(jnp.zeros(3))
    divergence = probabilities @ (log_probs - jax.vmap(other.log_prob)(states))
    np.testing.assert_allclose(divergence, SPINS.kl(other), rtol=1e-5)
    draws = jax.vmap(SPINS.sample)(jax.random.split(jax.random.key(0), 10_000))
    np.testing.assert_allclose(draws.mean(0), SPINS.mean, atol=0.04)


def test_an_estimator_takes_it():
    @pytree
    class Mine(Estimator[Spins, Objective]):
        def estimate(self, key, distribution, f):
            return f(distribution.relaxed(distribution.perturb(distribution.noise(key)), 0.5))

    value, slope = jax.value_and_grad(lambda q: Mine()(jax.random.key(1), q, jnp.sum))(SPINS)
    assert abs(value) < 3 and (slope.logits > 0).all()


def test_what_it_lacks_is_named():
    sample = SPINS.sample(jax.random.key(2))
    with pytest.raises(NotImplementedError, match="Spins has no posterior"):
        SPINS.posterior(jax.random.key(3), sample)
    with pytest.raises(NotImplementedError, match="Spins has no relaxed distribution"):
        SPINS.relax(0.5)
    with pytest.raises(NotImplementedError, match="class_log_probs of Spins"):
        class_log_probs(SPINS)
