"""Subsets of k of n items, in both laws, by enumeration from their definitions."""

import itertools

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from estimators import Bernoulli, Categorical, PlackettLuceSubset, ScoreFunction, Subset
from tests.estimators.helpers.laws import LEAST_P_VALUE, Compiled
from tests.estimators.helpers.truth import chances_of_subsets

pytestmark = pytest.mark.usefixtures("strict_dtypes")

INF = np.inf
LAWS = pytest.mark.parametrize("cls", [Subset, PlackettLuceSubset])
SIZES = pytest.mark.parametrize(("n", "k"), [(2, 1), (5, 2), (6, 3), (6, 4), (7, 1), (5, 4)])


def random_logits(n, scale=2.0, seed=0):
    return np.random.default_rng(seed).normal(size=n) * scale


def subsets(n, k):
    return np.array([z for z in itertools.product([0.0, 1.0], repeat=n) if sum(z) == k])


def moments(logits, k):
    """All subsets, their probabilities, mean and covariance under the conditional Bernoulli law."""
    states = subsets(len(logits), k)
    chance = scipy.special.softmax(states @ logits)
    mean = chance @ states
    return states, chance, mean, (states * chance[:, None]).T @ states - np.outer(mean, mean)


# By enumeration ---------------------------------------------------------------------------------


@SIZES
@LAWS
@pytest.mark.first_cases(5)
def test_states_and_log_probabilities(cls, n, k, float64):
    q = Compiled(cls(jnp.asarray(random_logits(n)), k))
    states = np.asarray(q.states())
    np.testing.assert_array_equal(states, subsets(n, k))  # in lexicographic order
    assert q.own.num_states == len(states)
    chance = np.array([chances_of_subsets(q.own, z) for z in states])
    np.testing.assert_allclose(chance.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(q.each("log_prob", states), np.log(chance), atol=1e-11)
    scores = np.asarray(q.each("score", states).logits)
    np.testing.assert_allclose(chance @ scores, 0, atol=1e-12)


@SIZES
@pytest.mark.first_cases(3)
def test_conditional_bernoulli(n, k, float64):
    logits, other = random_logits(n), random_logits(n, seed=1)
    states, chance, mean, covariance = moments(logits, k)
    q = Compiled(Subset(jnp.asarray(logits), k))
    np.testing.assert_allclose(q.mean, mean, rtol=1e-12)
    log_partition = scipy.special.logsumexp(states @ logits)
    np.testing.assert_allclose(q.log_partition(), log_partition, rtol=1e-12)
    np.testing.assert_allclose(q.each("score", states).logits, states - mean, atol=1e-12)
    np.testing.assert_allclose(q.entropy(), -chance @ np.log(chance), rtol=1e-10, atol=1e-13)
    ratio = np.log(chance) - np.log(moments(other, k)[1])
    divergence = q.kl(Subset(jnp.asarray(other), k))
    np.testing.assert_allclose(divergence, chance @ ratio, rtol=1e-10, atol=1e-13)
    of_mean, of_partition = (
        jax.jit(jax.jacfwd(lambda x: Subset(x, k).mean))(logits),
        jax.jit(jax.hessian(lambda x: Subset(x, k).log_partition()))(logits),
    )
    np.testing.assert_allclose(of_mean, covariance, atol=1e-13)
    np.testing.assert_allclose(of_partition, covariance, atol=1e-13)
    np.testing.assert_allclose(np.asarray(of_mean).sum(0), 0, atol=1e-13)


def test_given_the_number_of_ones(float64):
    """Independent bits, given their sum."""
    logits, k = random_logits(6), 3
    states = subsets(6, k)
    joint = np.exp(Compiled(Bernoulli(jnp.asarray(logits))).each("log_prob", states))
    q = Compiled(Subset(jnp.asarray(logits), k))
    np.testing.assert_allclose(np.exp(q.each("log_prob", states)), joint / joint.sum(), rtol=1e-12)
    wanted = np.log(joint.sum()) + np.logaddexp(0, logits).sum()
    np.testing.assert_allclose(q.log_partition(), wanted, rtol=1e-12)


def test_published_marginals():
    """The example of SIMPLE's authors."""
    chance = jnp.array([0.3, 0.6, 0.5, 0.2])
    mean = Subset(jax.scipy.special.logit(chance), 2).mean
    np.testing.assert_allclose(mean, [0.35676, 0.76216, 0.65946, 0.22162], atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_derivatives_at_equal_logits(dtype):
    """Also in a scan that is differentiated twice, where JAX drops rules of its own functions."""
    with jax.enable_x64(dtype == "float64"):

        def total(x):
            return jax.lax.scan(
                lambda s, _: (s + Subset(x, 3).log_partition(), None), 0 * x[0], np.arange(2)
            )[0]

        zeros = jnp.zeros(6, dtype)
        wanted = 2 * np.cov(subsets(6, 3).T, bias=True)
        tolerance = 20 * np.finfo(dtype).eps
        np.testing.assert_allclose(jax.jit(jax.hessian(total))(zeros), wanted, atol=tolerance)


@LAWS
def test_one_of_n_is_categorical(cls, float64):
    logits = jnp.asarray(random_logits(5))
    q, one_hot = Compiled(cls(logits, 1)), Compiled(Categorical(logits))
    states = np.eye(5)
    np.testing.assert_allclose(
        q.each("log_prob", states), one_hot.each("log_prob", states), rtol=1e-10
    )
    if cls is Subset:
        np.testing.assert_allclose(q.mean, one_hot.mean, rtol=1e-12)
        np.testing.assert_allclose(q.entropy(), one_hot.entropy(), rtol=1e-12)


def test_the_two_laws_differ_unless_the_logits_are_equal(float64):
    states = subsets(7, 3)
    for logits, is_same in ((np.zeros(7), True), (random_logits(7), False)):
        one, other = (
            np.exp(Compiled(cls(jnp.asarray(logits), 3)).each("log_prob", states))
            for cls in (Subset, PlackettLuceSubset)
        )
        distance = abs(one - other).sum() / 2
        assert distance < 1e-12 if is_same else distance > 0.02


# Samples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "k", "copies"), [(5, 2, 0), (5, 4, 0), (6, 3, 0), (4, 3, 2)], ids=str
)
@LAWS
@pytest.mark.first_cases(4)
def test_samples_have_the_law(cls, n, k, copies):
    q = cls(jnp.asarray(random_logits(n, 1.0), jnp.float32), k)
    q = Compiled(q.independent(copies) if copies else q)
    samples = np.asarray(q.each("sample", jax.random.split(jax.random.key(0), 2**17)))
    states = np.asarray(q.states())
    place = 2.0 ** np.arange(np.prod(q.event_shape))
    codes, counts = np.unique(samples.reshape(len(samples), -1) @ place, return_counts=True)
    order = np.argsort(states.reshape(len(states), -1) @ place)
    np.testing.assert_array_equal(codes, np.sort(states.reshape(len(states), -1) @ place))
    expected = np.exp(np.asarray(q.each("log_prob", states), float))[order] * counts.sum()
    assert expected.min() > 5
    assert scipy.stats.chisquare(counts, expected, sum_check=False).pvalue > LEAST_P_VALUE


@LAWS
def test_independent_copies(cls):
    q = cls(jnp.asarray(random_logits(5), jnp.float32), 2)
    copies = q.independent(3)
    copies.check()
    sample = Compiled(copies).sample(jax.random.key(1))
    assert sample.shape == copies.event_shape == (3, 5) and copies.num_states == 10**3
    expected = np.sum(Compiled(q).each("log_prob", sample))
    np.testing.assert_allclose(Compiled(copies).log_prob(sample), expected, rtol=1e-5)


@LAWS
def test_samples_have_no_gradient(cls):
    q = cls(jnp.asarray(random_logits(5), jnp.float32), 2)
    weights = jnp.arange(5.0)
    gradient = jax.grad(lambda q: q.sample(jax.random.key(3)) @ weights)(q)
    np.testing.assert_array_equal(gradient.logits, 0)


# Invariances and precision ----------------------------------------------------------------------

examples = hypothesis.settings(deadline=None, max_examples=20, derandomize=True, database=None)
wide = hypothesis.extra.numpy.arrays(np.float64, 6, elements=st.floats(-20, 20, width=32))


@examples
@hypothesis.given(logits=wide, shift=st.floats(-20, 20, width=32), seed=st.integers(0, 1000))
@pytest.mark.first_cases(2)
def test_shift_and_complement(logits, shift, seed):
    with jax.enable_x64(True):
        q, key = Compiled(Subset(logits, 2)), jax.random.key(seed)
        shifted, rest = Compiled(Subset(logits + shift, 2)), Compiled(Subset(-logits, 4))
        sample = np.asarray(q.sample(key))
        assert sample.sum() == 2 and np.isin(sample, (0, 1)).all()
        np.testing.assert_array_equal(shifted.sample(key), sample)
        np.testing.assert_allclose(shifted.mean, q.mean, rtol=1e-9)
        np.testing.assert_allclose(rest.mean, 1 - np.asarray(q.mean), rtol=1e-9, atol=1e-12)
        change = shifted.log_partition() - q.log_partition()
        np.testing.assert_allclose(change, 2 * shift, atol=1e-9)
        np.testing.assert_allclose(shifted.log_prob(sample), q.log_prob(sample), atol=1e-9)
        np.testing.assert_allclose(rest.log_prob(1 - sample), q.log_prob(sample), atol=1e-9)
        np.testing.assert_allclose(rest.entropy(), q.entropy(), atol=1e-9)


@pytest.mark.parametrize("scale", [0.0, 2.0, 30.0])
@pytest.mark.parametrize("k", [200, 584])
@pytest.mark.first_cases(2)
def test_float32_of_784_items(k, scale):
    """Against float64, whose table is checked against one of plain numbers without logarithms."""
    logits = np.float32(random_logits(784, scale))
    z = (np.argsort(np.argsort(-logits)) < k).astype(np.float32)

    def of(x, z):
        q = Subset(x, k)
        values = q.log_partition(), q.log_prob(z), q.entropy()
        return values, q.mean, jax.grad(lambda x: Subset(x, k).log_partition())(x)

    found = jax.jit(of)(logits, z)
    with jax.enable_x64(True):
        wanted = jax.jit(of)(logits.astype(float), z.astype(float))
    np.testing.assert_allclose(found[0], wanted[0], rtol=3e-6, atol=3e-6 * scale + 1e-5)
    for one in found[1:]:
        np.testing.assert_allclose(one, wanted[1], rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(np.asarray(found[1]).sum(), k, rtol=1e-6)
    if scale <= 2:  # 1 + w x as a polynomial, of exact integers at equal logits
        ways = exact_ways(logits.astype(float), k)
        np.testing.assert_allclose(wanted[0][0], ways, rtol=1e-10)


def exact_ways(logits, k):
    """The log-partition by Python's own numbers: products of polynomials, of any exponent."""
    scaled = [int(x) for x in np.round(np.exp(logits) * 2.0**60)]
    table = [1] + [0] * k
    for number in scaled:
        for j in range(k, 0, -1):
            table[j] += table[j - 1] * number
    top = table[k].bit_length() - 53
    return np.log(float(table[k] >> top)) + (top - 60 * k) * np.log(2)


def test_samples_of_784_items():
    logits = jnp.asarray(random_logits(784), jnp.float32)
    q, count = Compiled(Subset(logits, 200)), 2**12
    samples = np.asarray(q.each("sample", jax.random.split(jax.random.key(4), count)))
    np.testing.assert_array_equal(samples.sum(-1), 200)
    mean = np.asarray(q.mean, float)
    scores = (samples.mean(0) - mean) / np.sqrt(mean * (1 - mean) / count)
    assert abs(scores).max() < 5 and scores.std() < 1.2


# Infinite and wide logits -----------------------------------------------------------------------

INFINITE = {
    "both": ([0.25, -INF, 1.25, -0.5, INF], 2),
    "masks": ([0.25, -INF, 1.25, -0.5, 0.3, -INF], 3),
    "forced": ([INF, 0.25, INF, 0.5, 1.0], 3),
    "as many as are allowed": ([0.25, -INF, -INF, -0.5, -INF], 2),
    "as many as are forced": ([INF, 0.25, INF, -0.5, 1.0], 2),
    "nothing is left to chance": ([INF, -INF, INF, -INF], 2),
    "difference overflows": ([3e38, -3e38, 0.0, 0.5], 2),
}


@pytest.mark.parametrize("case", INFINITE)
@LAWS
@pytest.mark.first_cases(4)
def test_infinite_logits(cls, case):
    logits, k = INFINITE[case]
    logits = np.float32(logits)
    q = cls(jnp.asarray(logits), k)
    q.check()
    limit = np.clip(logits.astype(float), -300, 300)
    states = subsets(len(logits), k)
    with jax.enable_x64(True):
        same = cls(jnp.asarray(limit), k)
        wanted = np.exp(Compiled(same).each("log_prob", states))
    compiled = Compiled(q)
    log_probs = np.asarray(compiled.each("log_prob", states.astype("float32")))
    np.testing.assert_allclose(np.exp(log_probs), wanted, rtol=2e-5, atol=1e-30)
    forbidden = np.where(states > 0, logits == -INF, logits == INF).any(-1)
    assert np.isneginf(log_probs[forbidden]).all()
    assert (wanted[np.isneginf(log_probs)] < 1e-100).all()
    scores = np.asarray(compiled.each("score", states.astype("float32")).logits)
    assert np.isfinite(scores).all() and not scores[:, np.isinf(logits)].any()
    samples = compiled.each("sample", jax.random.split(jax.random.key(5), 1000))
    assert not np.asarray(samples)[:, logits == -INF].any()
    assert np.asarray(samples)[:, logits == INF].all()
    np.testing.assert_array_equal(np.asarray(samples).sum(-1), k)
    if cls is Subset:
        mean, inside = np.asarray(compiled.mean), wanted[wanted > 1e-100]
        np.testing.assert_allclose(mean, wanted @ states, rtol=2e-5, atol=1e-30)
        entropy, slope = jax.jit(jax.value_and_grad(lambda q: q.entropy()))(q)
        np.testing.assert_allclose(entropy, -inside @ np.log(inside), rtol=1e-5, atol=1e-6)
        assert (
            np.isfinite(slope.logits).all() and not np.asarray(slope.logits)[np.isinf(logits)].any()
        )


def test_log_partition_leaves_out_what_is_masked():
    masked, rest = (
        Subset(jnp.array([0.3, -INF, 1.0, -0.4]), 2),
        Subset(jnp.array([0.3, 1.0, -0.4]), 2),
    )
    log_partition = jax.jit(jax.value_and_grad(lambda q: q.log_partition()))
    (value, slope), wanted = log_partition(masked), log_partition(rest)
    np.testing.assert_allclose(value, wanted[0], rtol=1e-6)
    np.testing.assert_allclose(slope.logits[jnp.array([0, 2, 3])], wanted[1].logits, rtol=1e-6)
    assert slope.logits[1] == 0
    assert np.isposinf(Subset(jnp.array([0.3, INF, 1.0]), 2).log_partition())


def test_divergence_of_masks():
    q, p = Subset(jnp.array([0.3, -INF, 1.0, 0.1]), 2), Subset(jnp.zeros(4), 2)
    states, chance, *_ = moments(np.array([0.3, 1.0, 0.1]), 2)
    kl = jax.jit(jax.value_and_grad(lambda one, other: one.kl(other), (0, 1)))
    np.testing.assert_allclose(kl(q, p)[0], chance @ np.log(6 * chance), rtol=1e-5)
    assert np.isposinf(kl(p, q)[0])
    assert all(
        np.isfinite(slope.logits).all() for pair in (kl(q, p), kl(p, q)) for slope in pair[1]
    )


@LAWS
def test_logits_far_from_the_threshold_keep_the_others_precise(cls):
    """Centred at the largest logit, 0.5 would be rounded to 0."""
    logits = jnp.array([1e8, 0.0, 0.5, 1.0, -1e8])
    q = Compiled(cls(logits, 2))
    states = np.float32([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 0, 0, 1, 0]])
    wanted = scipy.special.softmax([0.0, 0.5, 1.0])
    np.testing.assert_allclose(np.exp(q.each("log_prob", states)), wanted, rtol=1e-5)


@LAWS
def test_wide_logits_are_finite(cls):
    logits = jnp.asarray(random_logits(1000, 8.0, seed=2), jnp.float32)
    q = cls(logits, 30)

    @jax.jit
    def of(q):
        z = q.sample(jax.random.key(0))
        return z.sum(), jax.value_and_grad(lambda q: q.log_prob(z))(q)

    total, found = of(q)
    assert total == 30 and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logits", "k", "error", "message"),
    [
        (jnp.zeros(3), 0, ValueError, "k must be at least 1, not 0"),
        (jnp.zeros(3), 2.0, TypeError, "k must be an integer"),
        (jnp.zeros(3), 3, ValueError, r"more than k = 3 items, not shape \(3,\)"),
        (jnp.zeros(()), 1, ValueError, r"more than k = 1 items, not shape \(\)"),
        (jnp.zeros(3, int), 1, TypeError, "float32 or float64, not int32"),
        (jnp.array([0.0, jnp.nan, 1.0]), 1, ValueError, "must not be NaN"),
        (jnp.array([[0.0, 1.0, 2.0], [-INF, -INF, 0.0]]), 2, ValueError, "must allow k = 2 items"),
        (jnp.array([INF, INF, 0.0]), 1, ValueError, "must not force more than k = 1"),
    ],
)
@LAWS
def test_refused(cls, logits, k, error, message):
    with pytest.raises(error, match=f"{cls.__name__} .*{message}"):
        ScoreFunction()(jax.random.key(0), cls(logits, k), jnp.sum)


@LAWS
def test_what_cannot_be_refused_is_nan(cls):
    @jax.jit
    @jax.value_and_grad
    def loss(logits):
        return cls(logits, 2).log_prob(jnp.array([1.0, 1.0, 0.0]))

    for logits in ([0.0, -INF, -INF], [np.nan, 0.0, 1.0], [INF, INF, INF]):
        assert np.isnan(loss(jnp.asarray(logits))[0]), logits


def test_number_of_states_that_is_too_large():
    q = Subset(jnp.zeros(784), 200)
    assert "10^192 states" in q.too_large()
    with pytest.raises(ValueError, match="at most 1,048,576 are enumerated"):
        q.states()
