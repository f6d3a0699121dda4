"""ARSM: swaps of the noise of two classes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import ARM, ARSM, Bernoulli, Categorical
from tests.estimators.helpers.enumeration import exact, per_key
from tests.estimators.helpers.scripted import gumbel_keys, logistic_keys, two_class_keys
from tests.estimators.test_definitions import coupled

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

CLASSES = np.array([[1.0, 0.5, -1.0, 0.2], [-0.5, 0.3, 0.2, 0.0]])


def by_swaps(noise):
    """The definition: points on the simplex, and f at the arg min after each swap."""
    point = np.exp(-noise) / np.exp(-noise).sum(-1, keepdims=True)
    size, classes = noise.shape
    table = np.zeros((classes, classes))
    for c, j in itertools.product(range(classes), repeat=2):
        swapped = point.copy()
        swapped[:, [c, j]] = swapped[:, [j, c]]
        drawn = np.argmin(swapped * np.exp(-CLASSES), -1)
        table[c, j] = coupled(jnp.asarray(np.eye(classes)[drawn]))
    gradient = np.zeros((size, classes))
    for d, c, j in itertools.product(range(size), range(classes), range(classes)):
        gradient[d, c] += (table[c, j] - table[:, j].mean()) * (1 / classes - point[d, j])
    return table, gradient


def test_as_defined():
    noise = np.random.default_rng(0).gumbel(size=(100, 1, 2, 4))
    values, gradients = per_key(ARSM(), Categorical, CLASSES, gumbel_keys(noise), coupled)
    pairs = np.triu_indices(4, 1)
    for found, value, each in zip(gradients, values, noise[:, 0], strict=True):
        table, wanted = by_swaps(each)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(value, np.mean([table[0, 0], *table[pairs]]), rtol=1e-12)


def test_of_two_classes_it_is_arm():
    """Sample by sample."""
    noise = np.random.default_rng(1).logistic(size=(100, 1))

    def f(z):
        return (z[0] + 0.3) ** 3

    values, gradients = per_key(ARSM(), Categorical, np.array([0.7, 0.0]), two_class_keys(noise), f)
    keys = logistic_keys(noise[:, :, None])
    wanted = per_key(ARM(), Bernoulli, np.array([0.7]), keys, f)
    np.testing.assert_allclose(values, wanted[0], rtol=1e-12)
    np.testing.assert_allclose(gradients[:, 0], wanted[1][:, 0], rtol=1e-9)
    np.testing.assert_allclose(gradients[:, 1], -wanted[1][:, 0], rtol=1e-9)


def test_unbiased_over_all_noise():
    """By quadrature over the noise of two variables of two classes."""
    logits = np.array([[0.7, 0.0], [-0.4, 0.0]])
    axes = []
    for logit in logits[:, 0]:  # the sample jumps at -logit, the swapped one at logit
        edges = np.linspace(-30, 30, 241)
        edges = np.unique(np.concatenate([edges, [logit, -logit]]))
        nodes, weights = np.polynomial.legendre.leggauss(3)
        half = np.diff(edges)[:, None] / 2
        noise = (edges[:-1, None] + half * (1 + nodes)).ravel()
        axes.append(np.stack([noise, (half * weights).ravel() / (2 + 2 * np.cosh(noise))], -1))
    grid = np.array(list(itertools.product(*axes)))
    keys = two_class_keys(grid[:, None, :, 0])
    weights = grid[..., 1].prod(-1)
    values, gradients = per_key(ARSM(), Categorical, logits, keys, coupled)
    truth = exact(Categorical, logits, coupled)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-8)
    np.testing.assert_allclose(weights @ values, truth[0], rtol=1e-7)
    np.testing.assert_allclose(np.tensordot(weights, gradients, 1), truth[1], atol=1e-8)


def test_refuses_many_classes():
    many = Categorical(jnp.zeros((1, 101)))
    assert "evaluates f 5,051 times" in ARSM().refusal(many)
    assert ARSM().refusal(Categorical(jnp.zeros((1, 100)))) is None
    assert ARSM().evaluations(Categorical(jnp.zeros((2, 4)))) == 7


def test_a_masked_class_has_no_gradient():
    logits = jnp.array([[0.3, -jnp.inf, 0.1]])
    keys = jax.random.split(jax.random.key(0), 100)
    _, gradients = per_key(ARSM(), Categorical, logits, keys, lambda z: (z[0, 0] + 0.3) ** 3)
    assert np.isfinite(gradients).all() and not gradients[..., 1].any()
