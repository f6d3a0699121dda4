"""Estimators for subsets: over every subset, or all their noise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from estimators import (
    SIMPLE,
    Categorical,
    ImplicitMLE,
    LeaveOneOut,
    PlackettLuceSubset,
    ReinMax,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
    Subset,
    UnorderedSet,
)
from tests.estimators.helpers.enumeration import exact, hard_moments, joint, per_key
from tests.estimators.helpers.examples import EXAMPLES, parameter
from tests.estimators.helpers.laws import LEAST_P_VALUE
from tests.estimators.helpers.scripted import gumbel_keys, hard_keys
from tests.estimators.test_identities import (
    BIASED,
    EXACT,
    bias,
    coupled_cubic,
    coupled_quadratic,
    linear,
    separable_quadratic,
)

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

LOGITS = np.array([1.0, -0.6, 0.3, 1.7, -1.1, 0.2])
THREE = functools.partial(Subset, k=3)
ONE = functools.partial(Subset, k=1)
TWO_ROWS = LOGITS.reshape(2, 3)
TWO = functools.partial(Subset, k=2)


@pytest.mark.parametrize("f", [linear, coupled_quadratic, coupled_cubic])
@pytest.mark.parametrize(("make", "logits"), [(THREE, LOGITS), (TWO, TWO_ROWS)])
@pytest.mark.first_cases(2)
def test_the_score_function_is_unbiased(make, logits, f):
    assert bias(ScoreFunction(), make, logits, f) < EXACT


def test_leave_one_out_is_unbiased_and_has_less_variance():
    pair = ScoreFunction(LeaveOneOut(2))
    mean, variance = hard_moments(pair, THREE, LOGITS, coupled_cubic, draws=2)
    np.testing.assert_allclose(mean, exact(THREE, LOGITS, coupled_cubic)[1], atol=EXACT)
    shifted = hard_moments(pair, THREE, LOGITS, lambda z: coupled_cubic(z) + 5, draws=2)[1]
    np.testing.assert_allclose(shifted, variance, rtol=1e-9)


@pytest.mark.parametrize(
    ("estimator", "f", "is_exact"),
    [
        (SIMPLE(), linear, True),
        (SIMPLE(), separable_quadratic, False),
        (SIMPLE(), coupled_quadratic, False),
        (SecondOrderStraightThrough(), linear, True),
        (SecondOrderStraightThrough(), separable_quadratic, True),
        (SecondOrderStraightThrough(), coupled_quadratic, True),
        (SecondOrderStraightThrough(), coupled_cubic, False),
    ],
    ids=lambda x: getattr(x, "__name__", None) or str(x),
)
@pytest.mark.parametrize(("make", "logits"), [(THREE, LOGITS), (TWO, TWO_ROWS)])
@pytest.mark.first_cases(7)
def test_exactness(estimator, f, is_exact, make, logits):
    error = bias(estimator, make, logits, f)
    assert error < EXACT if is_exact else error > BIASED


def test_simple_is_the_covariance_times_the_slope():
    states, chance = joint(THREE(jnp.asarray(LOGITS)), 1)
    states = states[:, 0]
    mean = chance @ states
    covariance = (states * chance[:, None]).T @ states - np.outer(mean, mean)
    slopes = np.stack([jax.grad(coupled_cubic)(z) for z in jnp.asarray(states)])
    keys = hard_keys(states[:, None])
    values, found = per_key(SIMPLE(), THREE, LOGITS, keys, coupled_cubic)
    np.testing.assert_allclose(found, slopes @ covariance, atol=1e-12)
    np.testing.assert_allclose(values, [coupled_cubic(z) for z in jnp.asarray(states)], rtol=1e-12)
    step = states - mean
    wanted = (slopes @ covariance + step * (step * slopes).sum(-1, keepdims=True)) / 2
    found = per_key(SecondOrderStraightThrough(), THREE, LOGITS, keys, coupled_cubic)[1]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "of_classes"),
    [
        (SIMPLE(), StraightThrough()),
        (SecondOrderStraightThrough(), ReinMax()),
        (ScoreFunction(), ScoreFunction()),
    ],
    ids=str,
)
def test_one_of_n_is_categorical(estimator, of_classes):
    """Sample by sample."""
    keys = hard_keys(np.eye(6)[:, None])
    found = per_key(estimator, ONE, LOGITS, keys, coupled_cubic)
    wanted = per_key(of_classes, Categorical, LOGITS, keys, coupled_cubic)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)


def test_variances():
    """Exactness for quadratics costs variance, less than the score function's."""
    estimators = SIMPLE(), SecondOrderStraightThrough(), ScoreFunction()
    for f in linear, coupled_quadratic:
        few, more, most = (hard_moments(one, THREE, LOGITS, f)[1].sum() for one in estimators)
        assert few < more < most
    assert hard_moments(SIMPLE(), THREE, LOGITS, linear)[1].max() < 1e-24


@pytest.mark.parametrize("cls", [Subset, PlackettLuceSubset])
def test_the_unordered_set_of_all_is_exact(cls):
    make, key = functools.partial(cls, k=3), jax.random.key(0)[None]
    value, found = per_key(UnorderedSet(20), make, LOGITS, key, coupled_cubic)
    wanted = exact(make, LOGITS, coupled_cubic)
    np.testing.assert_allclose(value[0], wanted[0], rtol=1e-12)
    np.testing.assert_allclose(found[0], wanted[1], atol=EXACT)


def test_the_unordered_set_enumerates_subsets():
    many = Subset(jnp.zeros(100), 50)
    assert "at most 1,048,576 are enumerated" in UnorderedSet(2).refusal(many)


# Implicit maximum likelihood


def largest(keys, k):
    return (np.argsort(np.argsort(-keys, axis=-1), axis=-1) < k).astype(float)


@pytest.mark.parametrize(("step", "temperature"), [(10.0, 1.0), (0.5, 2.0)])
def test_implicit_mle_as_defined(step, temperature):
    noise = np.random.default_rng(0).gumbel(size=(100, 6))
    keys = gumbel_keys(noise[:, None])
    estimator = ImplicitMLE(step, temperature=temperature)
    values, found = per_key(estimator, THREE, LOGITS, keys, coupled_cubic)
    perturbed = LOGITS + temperature * noise
    samples = largest(perturbed, 3)
    slopes = np.stack([jax.grad(coupled_cubic)(z) for z in jnp.asarray(samples)])
    np.testing.assert_allclose(values, [coupled_cubic(z) for z in jnp.asarray(samples)], rtol=1e-12)
    wanted = (samples - largest(perturbed - step * slopes, 3)) / step
    np.testing.assert_allclose(found, wanted, atol=1e-14)
    assert wanted.any()


def test_samples_of_implicit_mle_follow_another_law():
    """With Gumbel noise that of Plackett and Luce, which is `exact_law`'s reason."""
    keys = jax.random.split(jax.random.key(0), 2**16)
    first = LOGITS.argmax()
    values = per_key(ImplicitMLE(), THREE, LOGITS, keys, lambda z: z[first])[0]
    q = PlackettLuceSubset(jnp.asarray(LOGITS), 3)
    states = q.states()
    wanted = np.exp(jax.vmap(q.log_prob)(states)) @ np.asarray(states)[:, first]
    other = np.asarray(THREE(jnp.asarray(LOGITS)).mean)[first]
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - wanted) < 4.5 * error < abs(other - wanted)
    assert not ImplicitMLE.exact_law


@pytest.mark.parametrize(("n", "k"), [(2, 1), (4, 2)])
@pytest.mark.first_cases(1)
def test_sum_of_gamma_noise(n, k):
    """Against draws by scipy: the same frequency of each subset."""
    count, logits, temperature = 2**14, LOGITS[:n], 1.7
    keys = jax.random.split(jax.random.key(1), count)
    place = 2.0 ** np.arange(n)
    estimator = ImplicitMLE(noise="sum_of_gamma", temperature=temperature)
    make = functools.partial(Subset, k=k)
    codes = per_key(estimator, make, logits, keys, lambda z: place @ z)[0]
    rates = np.arange(1, 11) / k
    noise = np.random.default_rng(2).gamma(1 / k, 1 / rates, size=(count, n, 10)).sum(-1)
    perturbed = logits + temperature / k * (noise - np.log(10))
    table = [np.unique(c, return_counts=True)[1] for c in (codes, largest(perturbed, k) @ place)]
    assert scipy.stats.chi2_contingency(table).pvalue > LEAST_P_VALUE


# Infinite logits


MASKED = np.array([0.25, -np.inf, 1.25, -0.5, 0.8, np.inf])
TAKERS = [e for e in EXAMPLES if {Subset, PlackettLuceSubset} & set(e.distributions)]


@pytest.mark.parametrize("example", [parameter(example) for example in TAKERS])
@pytest.mark.parametrize("cls", [Subset, PlackettLuceSubset])
@pytest.mark.first_cases(4)
def test_infinite_logits_are_the_limit(cls, example):
    if cls not in example.distributions:
        pytest.skip("distributions: not this one")
    keys = jax.random.split(jax.random.key(3), 64)
    make = functools.partial(cls, k=3)
    example = example.initialise(keys[0], make(jnp.zeros(6)))
    example = jax.tree.map(lambda leaf: leaf + 0.1 if leaf.ndim else leaf, example)

    def loss(logits, key):
        return example(key, make(logits), coupled_cubic)

    gradient = jax.jit(jax.vmap(jax.value_and_grad(loss), (None, 0)))
    large = np.where(np.isinf(MASKED), np.sign(MASKED) * 1e9, MASKED)
    found = gradient(MASKED, keys)
    for one, other in zip(found, gradient(large, keys), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)
    assert not np.asarray(found[1])[:, np.isinf(MASKED)].any()
    with jax.debug_nans(True):  # not under jit, where it sees results alone
        jax.grad(loss)(jnp.asarray(MASKED), keys[0])
