"""Sum and sample of subsets, all of which are enumerated: order by order."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import PlackettLuceSubset, ScoreFunction, Subset, SumAndSample
from estimators.enumeration.without_replacement import most_probable
from tests.estimators.helpers.enumeration import exact, joint, moments, per_key
from tests.estimators.helpers.scripted import gumbel_keys
from tests.estimators.test_identities import coupled_cubic

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

LOGITS = np.array([1.0, -0.6, 0.3, 1.7])
LAWS = pytest.mark.parametrize("cls", [Subset, PlackettLuceSubset])
STATES = 6


def enumerated(cls):
    """Return the law of 2 of 4 items, its states and their probabilities."""
    states, chance = joint(cls(jnp.asarray(LOGITS), 2), 1)
    return functools.partial(cls, k=2), states[:, 0], chance


@functools.cache
def every_order(cls):
    """Return keys for every order of the states, the orders and their probabilities."""
    _, _, chance = enumerated(cls)
    orders = np.array(list(itertools.permutations(range(STATES))))
    levels = np.empty_like(orders, float)
    np.put_along_axis(levels, orders, np.arange(10.0, -2, -2)[None], 1)
    sorted_chances = chance[orders]
    left = np.cumsum(sorted_chances[:, ::-1], 1)[:, ::-1]
    return gumbel_keys((levels - np.log(chance))[:, None]), orders, (sorted_chances / left).prod(1)


@LAWS
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.first_cases(1)
def test_most_probable(cls, count):
    make, states, chance = enumerated(cls)
    find = jax.jit(most_probable, static_argnums=1)
    top, log_probs, log_rest = find(make(jnp.asarray(LOGITS)), count)
    wanted = np.argsort(-chance)[:count]
    np.testing.assert_array_equal(top, states[wanted])
    np.testing.assert_allclose(np.exp(log_probs), chance[wanted], rtol=1e-11)
    np.testing.assert_allclose(np.exp(log_rest), 1 - chance[wanted].sum(), rtol=1e-11)


@LAWS
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.first_cases(2)
def test_definition(cls, count):
    """The sum, and the first state drawn that is outside it; the mean is the truth."""
    make, states, chance = enumerated(cls)
    keys, orders, chances = every_order(cls)
    values, gradients = per_key(SumAndSample(count), make, LOGITS, keys, coupled_cubic)

    f = np.asarray(jax.vmap(coupled_cubic)(jnp.asarray(states)))
    score = np.asarray(jax.vmap(make(jnp.asarray(LOGITS)).score)(jnp.asarray(states)).logits)
    top = np.argsort(-chance)[: count - 1]
    rest = 1 - chance[top].sum()
    sample = np.array([next(s for s in order if s not in top) for order in orders])
    value = chance[top] @ f[top] + rest * f[sample]
    gradient = (chance * f)[top] @ score[top] + rest * (f[:, None] * score)[sample]
    np.testing.assert_allclose(values, value, rtol=1e-10)
    np.testing.assert_allclose(gradients, gradient, rtol=1e-10, atol=1e-12)

    true_value, truth = exact(make, LOGITS, coupled_cubic)
    np.testing.assert_allclose(chances @ values, true_value, rtol=1e-10)
    np.testing.assert_allclose(moments(chances, gradients)[0], truth, rtol=1e-10, atol=1e-12)


@LAWS
@pytest.mark.first_cases(1)
def test_one_state_is_the_score_function_and_all_are_exact(cls):
    make, *_ = enumerated(cls)
    keys = jax.random.split(jax.random.key(0), 50)
    found = per_key(SumAndSample(1), make, LOGITS, keys, coupled_cubic)
    wanted = per_key(ScoreFunction(), make, LOGITS, keys, coupled_cubic)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    for count in STATES, STATES + 3:
        found = per_key(SumAndSample(count), make, LOGITS, keys, coupled_cubic)
        for one, other in zip(found, exact(make, LOGITS, coupled_cubic), strict=True):
            np.testing.assert_allclose(one, other[None].repeat(50, 0), rtol=1e-10, atol=1e-12)
        assert SumAndSample(count).evaluations(make(LOGITS)) == STATES


def test_it_enumerates_subsets():
    """Or says how many there are, or how much memory all of them take."""
    many = Subset(jax.ShapeDtypeStruct((100,), np.float32), 50)
    assert "10^29 states; at most 1,048,576 are enumerated" in SumAndSample(2).refusal(many)
    wide = Subset(jax.ShapeDtypeStruct((1000,), np.float32), 2)
    wanted = "499,500 states of event shape (1000,) take 499,500,000 numbers; at most 268,435,456"
    assert wanted in SumAndSample(2).refusal(wide)
