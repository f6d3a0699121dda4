"""Gradients beside TensorFlow Probability's own: one problem, the same mean and variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorflow_probability.substrates import jax as tfp

from estimators import (
    Bernoulli,
    Categorical,
    GumbelSoftmax,
    Pathwise,
    ScoreFunction,
    StraightThroughGumbelSoftmax,
)

pytestmark = pytest.mark.filterwarnings("ignore:::tensorflow_probability", "ignore::UserWarning")

COUNT = 2**17
TEMPERATURE = 0.7
BITS = jnp.asarray([-2.0, 0.7, 1.5])
CLASSES = jnp.asarray([[2.0, 0.5, -1.0], [-0.5, 0.3, 1.5]])


@pytest.fixture(autouse=True)
def their_ranks():
    """TensorFlow Probability broadcasts as it likes."""
    with jax.numpy_rank_promotion("allow"):
        yield


def f(z):
    x = z.ravel()
    weights = jnp.cos(2.0 * jnp.arange(x.size) + 1)
    return jnp.sin(weights @ x) + (weights @ x) ** 3 + x[0] * x[-1]


def samples(gradient, logits, seed):
    """Return `[COUNT, ...]` gradients in float64."""
    keys = jax.random.split(jax.random.key(seed), (32, COUNT // 32))
    mapped = jax.jit(lambda keys: jax.lax.map(jax.vmap(lambda key: gradient(logits, key)), keys))
    return np.asarray(mapped(keys), np.float64).reshape(COUNT, -1)


def assert_same_law(ours, theirs):
    """Mean and variance of each coordinate agree to 4.5 standard errors of their difference."""
    for moment in (lambda x: x, lambda x: (x - x.mean(0)) ** 2):
        pair = [moment(x) for x in (ours, theirs)]
        error = np.sqrt(sum(x.var(0, ddof=1) for x in pair) / COUNT)
        assert np.abs(pair[0].mean(0) - pair[1].mean(0)).max() > 0  # not the same samples
        assert (np.abs(pair[0].mean(0) - pair[1].mean(0)) / error).max() < 4.5


def ours(estimator, family):
    return jax.grad(lambda logits, key: estimator(key, family(logits), f))


def theirs(family, surrogate):
    return jax.grad(lambda logits, key: surrogate(family(logits), key))


def relaxed(family):
    if family is Bernoulli:
        return lambda logits: tfp.distributions.RelaxedBernoulli(TEMPERATURE, logits)
    return lambda logits: tfp.distributions.RelaxedOneHotCategorical(TEMPERATURE, logits)


def hard(family):
    if family is Bernoulli:
        return lambda logits: tfp.distributions.Bernoulli(logits, dtype=jnp.float32)
    return lambda logits: tfp.distributions.OneHotCategorical(logits, dtype=jnp.float32)


FAMILIES = pytest.mark.parametrize(
    ("family", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)], ids=["bits", "classes"]
)


@FAMILIES
def test_score_function(family, logits):
    def expectation(q, key):
        return tfp.monte_carlo.expectation(
            lambda z: f(z[0])[None],
            q.sample(1, seed=key),
            log_prob=lambda z: q.log_prob(z).sum(-1),
            use_reparameterization=False,
        )

    found = samples(ours(ScoreFunction(), family), logits, 1)
    other = samples(theirs(hard(family), expectation), logits, 2)
    assert_same_law(found, other)
    with pytest.raises(AssertionError):  # the test sees a tenth
        assert_same_law(1.1 * found, other)


@FAMILIES
def test_gumbel_softmax(family, logits):
    def reparametrised(q, key):
        return f(q.sample(seed=key))

    found = samples(ours(GumbelSoftmax(TEMPERATURE), family), logits, 3)
    other = samples(theirs(relaxed(family), reparametrised), logits, 4)
    assert_same_law(found, other)
    with pytest.raises(AssertionError):
        assert_same_law(samples(ours(GumbelSoftmax(0.6), family), logits, 3), other)


@FAMILIES
def test_straight_through_gumbel_softmax(family, logits):
    def straight_through(q, key):
        soft = q.sample(seed=key)
        if family is Bernoulli:
            corner = jnp.round(soft)
        else:
            corner = jax.nn.one_hot(jnp.argmax(soft, -1), soft.shape[-1])
        return f(soft + jax.lax.stop_gradient(corner - soft))

    found = samples(ours(StraightThroughGumbelSoftmax(TEMPERATURE), family), logits, 5)
    assert_same_law(found, samples(theirs(relaxed(family), straight_through), logits, 6))


@pytest.mark.first_cases(1)
@FAMILIES
def test_score_function_of_the_relaxed_distribution(family, logits):
    """Its density as ours sees it: a score, against theirs, and against the path's mean."""

    def squashed(q, key):
        sample = jax.lax.stop_gradient(q.sample(seed=key))
        return jax.lax.stop_gradient(f(sample)) * q.log_prob(sample).sum()

    def estimate(estimator):
        def loss(logits, key):
            q = family(logits).relax(jnp.asarray(TEMPERATURE))
            return estimator(key, q, lambda x: f(q.squash(x)))

        return jax.grad(loss)

    # f closes over no live value here: the squashing has no parameter.
    found = samples(estimate(ScoreFunction()), logits, 7)
    assert_same_law(found, samples(theirs(relaxed(family), squashed), logits, 8))
    path = samples(estimate(Pathwise()), logits, 9)
    error = np.sqrt((found.var(0) + path.var(0)) / COUNT)
    assert (np.abs(found.mean(0) - path.mean(0)) / error).max() < 4.5
