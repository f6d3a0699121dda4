"""Leave-one-out with learned control variates: DoubleCV and RODEO."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import RODEO, Bernoulli, DoubleCV, LeaveOneOut, ScoreFunction
from estimators.core.gradients import attach_gradient, value_and_slope
from tests.estimators.helpers.enumeration import exact, hard_moments, joint, moments, per_key
from tests.estimators.helpers.scripted import hard_keys
from tests.estimators.test_definitions import coupled, sigmoid

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

# Skewed, both ways.
BITS = np.array([-4.0, 0.7, 2.5])
CHANCE = sigmoid(BITS)
ALPHA = -0.7


_values_and_slopes = jax.jit(jax.vmap(jax.value_and_grad(coupled)))


def values_and_slopes(samples):
    """f and f' at samples `[n, 3]`, in numpy."""
    return tuple(map(np.asarray, _values_and_slopes(samples)))


def leave_one_out(samples, values, alternative):
    """The estimate whose sample k meets the others' mean of `alternative`."""
    n = len(samples)
    others = (alternative.sum() - alternative) / (n - 1)
    return np.mean((values - others)[:, None] * (samples - CHANCE), 0)


def double_cv(samples):
    """The definition, term by term; for two samples as the paper prints it."""
    values, slopes = values_and_slopes(samples)
    n = len(samples)
    terms = []
    for i in range(n):
        others = np.mean([slopes[j] for j in range(n) if j != i], 0)
        terms.append(ALPHA * others @ (samples[i] - CHANCE))
    new = values + np.array(terms)
    return leave_one_out(samples, new, new) - ALPHA * slopes.mean(0) * CHANCE * (1 - CHANCE)


def estimate_network(layers, value, linear):
    """The two outputs of RODEO's network."""
    hidden = np.array([linear, value]) @ layers["weight"] + layers["bias"]
    return np.where(hidden > 0, hidden, 0.3 * hidden) @ layers["out"] + layers["out_bias"]


def stein(h, x):
    """The operator, written out: Gibbs steps of one bit each."""
    total = 0.0
    for i in range(x.size):
        y = x.copy()
        y[i] = 1 - x[i]
        chance = CHANCE[i] if y[i] == 1 else 1 - CHANCE[i]
        total = total + chance * (h(y) - h(x))
    return total / x.size


def surrogates(layers, samples):
    """For each sample its two functions, of the other samples' f and f' alone."""
    values, slopes = values_and_slopes(samples)
    n = len(samples)

    def of(k):
        def both(y):
            return np.mean(
                [
                    estimate_network(layers, values[j], slopes[j] @ (y - samples[j]))
                    for j in range(n)
                    if j != k
                ],
                0,
            )

        return (lambda y: both(y)[0]), (lambda y: both(y)[1] * (y - CHANCE))

    return [of(k) for k in range(n)]


def rodeo(layers, samples):
    values, _ = values_and_slopes(samples)
    pairs = surrogates(layers, samples)
    steins = np.array([stein(h, x) for (h, _), x in zip(pairs, samples, strict=True)])
    more = np.mean([stein(g, x) for (_, g), x in zip(pairs, samples, strict=True)], 0)
    return leave_one_out(samples, values, values + steins) + more


def random_rodeo(count):
    """RODEO with a network that says something."""
    estimator = RODEO(count, hidden=5).initialise(jax.random.key(1), Bernoulli(jnp.zeros(3)))
    generator = np.random.default_rng(0)
    layers = jax.tree.map(lambda x: jnp.asarray(generator.normal(size=x.shape)), estimator.layers)
    return dataclasses.replace(estimator, layers=layers)


def controlled(name, count):
    """An estimator whose control variate is not zero, and its definition."""
    if name == "DoubleCV":
        # Half of it learned, so that both halves count.
        return DoubleCV(count, ALPHA / 2, ALPHA / 2), double_cv
    estimator = random_rodeo(count)
    layers = {name: np.asarray(x) for name, x in estimator.layers.items()}
    return estimator, lambda samples: rodeo(layers, samples)


BOTH = pytest.mark.parametrize("name", ["DoubleCV", "RODEO"])


@pytest.mark.first_cases(2)
@BOTH
@pytest.mark.parametrize("count", [2, 3])
def test_definition(name, count):
    """Over every tuple of hard samples: the gradient is the definition's, the mean is the truth."""
    estimator, definition = controlled(name, count)
    samples, chance = joint(Bernoulli(BITS), count)
    values, gradients = per_key(estimator, Bernoulli, BITS, hard_keys(samples), coupled)
    few = np.random.default_rng(0).permutation(len(samples))[:64]
    defined = np.array([definition(samples[i]) for i in few])
    np.testing.assert_allclose(gradients[few], defined, rtol=1e-10, atol=1e-11)
    value, gradient = exact(Bernoulli, BITS, coupled)
    mean, variance = moments(chance, gradients)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    np.testing.assert_allclose(mean, gradient, rtol=1e-9, atol=1e-10)
    # And the control variates do something.
    plain = hard_moments(ScoreFunction(LeaveOneOut(count)), Bernoulli, BITS, coupled, count)[1]
    assert np.all(np.abs(variance / plain - 1) > 1e-3)


def untuned(cls, count):
    return cls(count).initialise(jax.random.key(0), Bernoulli(jnp.asarray(BITS)))


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("cls", [DoubleCV, RODEO])
def test_untuned_is_leave_one_out(cls, count):
    """Alpha zero, or a network whose outputs are zero: sample by sample, value and gradient."""
    keys = jax.random.split(jax.random.key(0), 200)
    one, other = (
        per_key(estimator, Bernoulli, BITS, keys, coupled)
        for estimator in (untuned(cls, count), ScoreFunction(LeaveOneOut(count)))
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-12)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-10, atol=1e-12)


def test_the_stein_operator_has_mean_zero():
    """For any function, by enumeration; the score times it as well."""
    states = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], float)
    chance = np.where(states == 1, CHANCE, 1 - CHANCE).prod(1)
    layers = {name: np.asarray(x) for name, x in random_rodeo(2).layers.items()}
    others = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    for other in others:
        (h, g), _ = surrogates(layers, np.stack([states[0], other]))
        for function in (h, g):
            found = np.array([stein(function, x) for x in states])
            assert np.abs(found).max() > 1e-2
            np.testing.assert_allclose(chance @ found, 0, atol=1e-12)


def test_linear_f_leaves_no_variance_but_the_pairs():
    """With alpha = -1 the Taylor terms are a linear f itself, so nothing is left to chance."""

    def linear(z):
        return jnp.asarray([1.5, -0.3, 0.8]) @ z + 2

    for count in (2, 3):
        mean, variance = hard_moments(DoubleCV(count, -1.0), Bernoulli, BITS, linear, count)
        np.testing.assert_allclose(mean, exact(Bernoulli, BITS, linear)[1], rtol=1e-12)
        assert variance.max() < 1e-28


@BOTH
def test_the_leaves_learn_from_the_squared_gradient(name):
    """Its mean over all samples is the gradient of the total variance: by finite differences."""
    estimator, _ = controlled(name, 2)
    samples, chance = joint(Bernoulli(BITS), 2)
    keys = hard_keys(samples)

    def loss(estimator, key):
        return estimator(key, Bernoulli(jnp.asarray(BITS)), coupled)

    slopes = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(estimator, keys)
    slopes = jax.tree.map(lambda x: np.tensordot(chance, x, 1), slopes)

    def total(estimator):
        return moments(chance, per_key(estimator, Bernoulli, BITS, keys, coupled)[1])[1].sum()

    def some(path, x):
        # What a user set moves the variance but does not learn.
        set_by_user = path[-1] == jax.tree_util.GetAttrKey("alpha")
        return (not set_by_user) * np.cos(np.arange(x.size) + 1.0).reshape(x.shape)

    direction = jax.tree.map_with_path(some, slopes)
    step = 1e-6
    up, down = (
        total(jax.tree.map(lambda leaf, d, s=s: leaf + s * step * d, estimator, direction))
        for s in (1, -1)
    )
    if name == "DoubleCV":  # what a user set does not learn
        assert slopes.alpha == 0
    along = sum(jax.tree.leaves(jax.tree.map(np.vdot, slopes, direction)))
    np.testing.assert_allclose(along, (up - down) / (2 * step), rtol=1e-5)


@BOTH
def test_constant_added_to_f(name):
    """DoubleCV does not see it; RODEO's network does, and only its mean is the same."""
    estimator, _ = controlled(name, 2)
    samples, chance = joint(Bernoulli(BITS), 2)
    keys = hard_keys(samples)
    _, plain = per_key(estimator, Bernoulli, BITS, keys, coupled)
    _, shifted = per_key(estimator, Bernoulli, BITS, keys, lambda z: coupled(z) + 3)
    assert (np.abs(shifted - plain).max() < 1e-11) == isinstance(estimator, DoubleCV)
    np.testing.assert_allclose(chance @ shifted, chance @ plain, rtol=1e-9, atol=1e-11)


def test_an_attached_gradient_outlives_a_slope():
    """The derivative of a value, taken beside its slope in z, still has what was attached."""

    def f(z, logit):
        return attach_gradient(z**2 + logit, (z, logit), (jnp.float64(5.0), jnp.float64(7.0)))

    def value(logit):
        found, slope = value_and_slope(lambda z: f(z, logit))(jnp.float64(3.0))
        return found + 0 * slope

    assert jax.grad(value)(jnp.float64(1.0)) == 8
    assert jax.grad(f)(jnp.float64(3.0), jnp.float64(1.0)) == 11
