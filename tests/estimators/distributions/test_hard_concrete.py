"""Hard concrete gates: atoms, the density between them, and the limit of bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from estimators import Bernoulli, HardConcrete, Pathwise
from tests.estimators.helpers.laws import LEAST_P_VALUE, Compiled, ks, repeat

pytestmark = pytest.mark.usefixtures("strict_dtypes")

KEY = jax.random.key(32)
LOG_ALPHA = np.array([-3.0, 0.4, 6.0])
SHIFT = 2 / 3 * np.log(11)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def test_atoms_of_the_published_gates(float64):
    gates = HardConcrete(jnp.asarray(LOG_ALPHA))
    np.testing.assert_allclose(gates.chance_of_zero, sigmoid(-SHIFT - LOG_ALPHA), rtol=1e-12)
    np.testing.assert_allclose(gates.chance_of_one, sigmoid(LOG_ALPHA - SHIFT), rtol=1e-12)
    np.testing.assert_allclose(gates.expected_open(), sigmoid(LOG_ALPHA + SHIFT).sum(), rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.2, 2 / 3, 2.0])
def test_samples_have_the_law(dtype, temperature):
    count = 2**16
    gates = HardConcrete(repeat(LOG_ALPHA, count, dtype), dtype.type(temperature), -0.2, 1.3)
    one = HardConcrete(jnp.asarray(LOG_ALPHA, dtype), dtype.type(temperature), -0.2, 1.3)
    samples = np.asarray(Compiled(gates).sample(KEY))
    assert samples.dtype == dtype and samples.min() == 0 and samples.max() == 1
    for i, log_alpha in enumerate(LOG_ALPHA):
        for end, chance in (0, one.chance_of_zero[i]), (1, one.chance_of_one[i]):
            hits = int((samples[:, i] == end).sum())
            assert scipy.stats.binomtest(hits, count, float(chance)).pvalue > LEAST_P_VALUE
        inside = samples[(samples[:, i] > 0) & (samples[:, i] < 1), i].astype(float)

        def below(z, log_alpha=log_alpha):
            return sigmoid(temperature * np.log((z + 0.2) / (1.3 - z)) - log_alpha)

        assert ks(inside, lambda z: (below(z) - below(0)) / (below(1) - below(0))) > LEAST_P_VALUE


def test_atoms_in_the_tails():
    """In float32, where a gate is once in 1e17 times open; and log-probabilities of both."""
    gates = HardConcrete(jnp.array([-38.0, 38.0], jnp.float32))
    np.testing.assert_allclose(gates.chance_of_one[0], sigmoid(-38 - SHIFT), rtol=1e-5)
    np.testing.assert_allclose(gates.chance_of_zero[1], sigmoid(-38 - SHIFT), rtol=1e-5)
    found = gates.log_prob(jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(found, 2 * (-38 - SHIFT), rtol=1e-6)
    assert abs(gates.log_prob(jnp.array([0.0, 1.0]))) < 1e-15
    for z in 0.0, 1e-30, 0.5, 1.0:
        score = gates.score(jnp.full(2, z, jnp.float32))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(score))


@pytest.mark.parametrize("temperature", [0.3, 2 / 3, 3.0])
def test_probability_sums_to_one_and_scores_to_zero(float64, temperature):
    """Atoms and density are one measure, also in its derivative."""
    for log_alpha in LOG_ALPHA:
        gate = Compiled(HardConcrete(jnp.asarray(log_alpha), temperature))
        nodes, weights = np.polynomial.legendre.leggauss(80)
        points = jnp.asarray([0.0, *(1 + nodes) / 2, 1.0])
        chance = np.exp(gate.each("log_prob", points)) * [1, *weights / 2, 1]
        np.testing.assert_allclose(chance.sum(), 1, rtol=1e-10)
        scores = gate.each("score", points)
        for leaf in jax.tree.leaves(scores):
            np.testing.assert_allclose(chance @ leaf, 0, atol=1e-9)


def test_gate_at_test_time_is_not_the_mean(float64):
    gate = HardConcrete(jnp.asarray(0.4))
    np.testing.assert_allclose(gate.gate(), 1.2 * sigmoid(0.4) - 0.1, rtol=1e-12)
    colder = HardConcrete(jnp.asarray(0.4), 0.1)
    assert colder.gate() == gate.gate()
    mean, _ = scipy.integrate.quad(
        lambda z: 1 - sigmoid(2 / 3 * np.log((z + 0.1) / (1.1 - z)) - 0.4), 0, 1
    )
    samples = Compiled(HardConcrete(repeat(0.4, 2**18, "d"))).sample(KEY)
    np.testing.assert_allclose(np.mean(samples), mean, atol=4e-3)
    np.testing.assert_allclose([gate.gate(), mean], [0.618, 0.586], atol=1e-3)


@pytest.mark.parametrize("log_alpha", [-1.0, 0.4])
def test_cold_gates_are_bits(float64, log_alpha):
    """The atoms have all the probability, that of the bit; the samples are those of its noise."""
    for temperature in 1e-2, 1e-4:
        gate = HardConcrete(jnp.asarray(log_alpha), temperature)
        bit = Bernoulli(jnp.asarray(log_alpha))
        error = abs(gate.chance_of_one - bit.mean) + abs(1 - gate.chance_of_zero - bit.mean)
        assert error < 1.3 * temperature
        np.testing.assert_allclose(gate.expected_open(), bit.mean, atol=1.3 * temperature)
    samples = Compiled(HardConcrete(repeat(log_alpha, 2**12, "d"), 1e-6)).sample(KEY)
    bits = Compiled(Bernoulli(repeat(log_alpha, 2**12, "d"))).sample(KEY)
    np.testing.assert_array_equal(samples, bits)


def test_atoms_have_no_gradient(float64):
    keys = jax.random.split(KEY, 1000)
    gate = HardConcrete(jnp.asarray([0.4]))
    estimate = jax.value_and_grad(lambda q, key: Pathwise()(key, q, jnp.sum))
    values, slopes = jax.jit(jax.vmap(estimate, (None, 0)))(gate, keys)
    inside = (values > 0) & (values < 1)
    assert inside.any() and not inside.all()
    np.testing.assert_array_equal(slopes.log_alpha[:, 0] != 0, inside)


@pytest.mark.parametrize(
    ("gates", "error", "message"),
    [
        (HardConcrete(np.zeros(3, int)), TypeError, "HardConcrete log_alpha must be float32"),
        (HardConcrete(np.float32([np.nan])), ValueError, "log_alpha must be finite"),
        (HardConcrete(np.zeros(3, "f"), 0.0), ValueError, "HardConcrete temperature must be above"),
        (HardConcrete(np.zeros(3, "f"), np.ones(2, "f")), ValueError, r"of shape \(3,\), not"),
        (HardConcrete(np.zeros(3, "f"), 1.0, 0.0), ValueError, "low below 0 and high above 1, not"),
        (HardConcrete(np.zeros(3, "f"), 1.0, -0.1, 1.0), ValueError, "high above 1, not -0.1 and"),
        (HardConcrete(np.zeros(3, "f"), 1.0, "low"), TypeError, "HardConcrete low must be a"),
    ],
)
def test_check_refuses(gates, error, message):
    with pytest.raises(error, match=message):
        gates.check()
