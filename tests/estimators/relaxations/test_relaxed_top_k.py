"""The relaxation of the k largest perturbed logits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Categorical, GumbelSoftmax, PlackettLuceSubset, RelaxedTopK, Subset
from tests.estimators.helpers.enumeration import per_key
from tests.estimators.helpers.scripted import gumbel_keys
from tests.estimators.test_identities import coupled_cubic, linear

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

LOGITS = np.array([1.0, -0.6, 0.3, 1.7, -1.1, 0.2])
NOISE = np.random.default_rng(0).gumbel(size=(200, 6))
THREE = functools.partial(PlackettLuceSubset, k=3)


def softmax(x):
    power = np.exp(x - x.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def by_steps(keys, k, temperature):
    """The definition, one softmax at a time."""
    total = 0
    for _ in range(k):
        y = softmax(keys / temperature)
        total, keys = total + y, keys + np.log(1 - y)
    return total


def samples(estimator, make, logits, noise):
    """The points at which f is evaluated."""
    keys = gumbel_keys(noise[:, None])
    size = logits.size
    found = [per_key(estimator, make, logits, keys, lambda z, i=i: z[i])[0] for i in range(size)]
    return np.stack(found, -1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_as_defined(temperature):
    wanted = by_steps(LOGITS + NOISE, 3, temperature)
    found = samples(RelaxedTopK(temperature), THREE, LOGITS, NOISE)
    np.testing.assert_allclose(found, wanted, rtol=1e-7)
    np.testing.assert_allclose(found.sum(-1), 3, rtol=1e-12)
    assert found.max() > 1


def test_one_of_n_is_gumbel_softmax():
    keys = gumbel_keys(NOISE[:, None])
    one = functools.partial(PlackettLuceSubset, k=1)
    found = per_key(RelaxedTopK(0.7), one, LOGITS, keys, coupled_cubic)
    wanted = per_key(GumbelSoftmax(0.7), Categorical, LOGITS, keys, coupled_cubic)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_tends_to_the_largest():
    hard = samples(RelaxedTopK(1.0, straight_through=True), THREE, LOGITS, NOISE)
    order = np.argsort(np.argsort(-(LOGITS + NOISE))) < 3
    np.testing.assert_array_equal(hard, order)
    gaps = [
        abs(samples(RelaxedTopK(t), THREE, LOGITS, NOISE) - hard).mean() for t in (1, 0.1, 0.01)
    ]
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    soft = samples(RelaxedTopK(1.0), THREE, LOGITS, NOISE)
    np.testing.assert_array_equal(np.argsort(np.argsort(-soft)) < 3, order)


def test_straight_through_has_the_derivative_of_the_relaxed():
    """Of a linear f, whose slope is the same everywhere; f is evaluated at the law's sample."""
    keys = gumbel_keys(NOISE[:, None])
    soft, hard = (
        per_key(RelaxedTopK(0.7, straight_through=one), THREE, LOGITS, keys, linear)
        for one in (False, True)
    )
    np.testing.assert_allclose(hard[1], soft[1], rtol=1e-12)
    drawn = jax.vmap(THREE(jnp.asarray(LOGITS)).sample)(keys)
    np.testing.assert_allclose(hard[0], [linear(z) for z in drawn], rtol=1e-12)


def test_no_item_twice_in_single_precision():
    """Where y rounds to 1, log(1 - y) is a large number and not minus infinity."""
    logits = np.array([300.0, 200.0, 100.0, 0.0])
    two = functools.partial(PlackettLuceSubset, k=2)
    for dtype in ("float32", "float64"):
        keys = jax.random.split(jax.random.key(0), 50)
        values, slopes = per_key(RelaxedTopK(0.1), two, logits.astype(dtype), keys, lambda z: z[0])
        np.testing.assert_allclose(values, 1, rtol=1e-6)
        assert np.isfinite(slopes).all()


def test_takes_one_law_only():
    q = Subset(jnp.zeros(4), 2)
    assert RelaxedTopK(0.5).refusal(q) == "takes PlackettLuceSubset, not Subset"


def test_refused():
    q = PlackettLuceSubset(jnp.zeros(4), 2)
    with pytest.raises(ValueError, match="RelaxedTopK temperature must be above zero"):
        RelaxedTopK(0.0)(jax.random.key(0), q, jnp.sum)
    with pytest.raises(ValueError, match="straight_through must be one of True, False"):
        RelaxedTopK(0.5, 1)(jax.random.key(0), q, jnp.sum)
