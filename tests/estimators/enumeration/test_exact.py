"""`Exact`, the oracle of the library, against the tests' own truth and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Bernoulli, Categorical, Exact, Normal, black_box
from tests.estimators.helpers.cost import flops
from tests.estimators.helpers.problems import BERNOULLI, CATEGORICAL, NESTED
from tests.estimators.helpers.truth import expectation, true_gradient

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")


@pytest.mark.parametrize("problem", [BERNOULLI, CATEGORICAL, NESTED[0]], ids=str)
def test_enumerates(problem):
    keys = tuple(jax.random.split(jax.random.key(0), problem.layers))
    operators = (Exact(),) * problem.layers
    found = jax.jit(problem.gradient)(operators, keys, problem.arrays(jnp.float64))
    np.testing.assert_allclose(found, true_gradient(problem), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [10, 11, 12])
def test_many_states(size):
    """Below and above the number of states that are evaluated at once; f needs no derivative."""
    logits = np.linspace(-4, 4, size)
    weights = np.cos(np.arange(size))
    chance = 1 / (1 + np.exp(-logits))

    def f(z):  # a product, so that the expectation is one
        return jnp.prod(1 + jnp.asarray(weights) * z)

    def loss(logits):
        return Exact()(jax.random.key(0), Bernoulli(logits), black_box(f))

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(logits))
    factors = 1 + weights * chance
    np.testing.assert_allclose(value, factors.prod(), rtol=1e-12)
    expected = factors.prod() / factors * weights * chance * (1 - chance)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-14)


def test_derivative_in_what_f_closes_over():
    def loss(operator, weight):
        q = Categorical(jnp.asarray([[0.3, -1.0, 2.0]]))
        return operator(None, q, lambda z: jnp.tanh(weight * (z[0, 0] - 2 * z[0, 1])))

    slope = jax.jit(jax.grad(loss, 1), static_argnums=0)
    exact, truth = (
        slope(operator, 0.7)
        for operator in (lambda _, q, f: Exact()(jax.random.key(0), q, f), expectation)
    )
    np.testing.assert_allclose(exact, truth, rtol=1e-12)


def test_a_batch_shares_what_f_computes_of_a_state():
    """A decoder of all states is as costly for a hundred images as it is for one."""
    states, hidden, batch = 8, 512, 100

    def loss(logits, weights, scale):
        def f(z):
            return scale * jnp.tanh(z @ weights).sum()

        return Exact()(jax.random.key(0), Bernoulli(logits), f)

    def total(logits, weights, scales):
        return jax.vmap(loss, (0, None, 0))(logits, weights, scales).sum()

    of_one, of_all = (
        flops(
            jax.grad(total, (0, 1)),
            jnp.zeros((count, 3)),
            jnp.ones((3, hidden)),
            jnp.ones(count),
        )
        for count in (1, batch)
    )
    assert of_one > 2 * 3 * states * hidden
    assert of_all < 2 * of_one


@pytest.mark.parametrize(
    ("distribution", "states"),
    [
        (Bernoulli(np.zeros(21)), "2,097,152 states"),
        (Bernoulli(np.zeros(200)), r"10\^60 states"),
        (Categorical(np.zeros((20, 10))), r"10\^20 states"),
    ],
    ids=str,
)
def test_too_many_states(distribution, states):
    with pytest.raises(ValueError, match=f"{states}; at most 1,048,576"):
        Exact()(jax.random.key(0), distribution, jnp.sum)


def test_takes_no_continuous_distribution():
    with pytest.raises(TypeError, match="Exact takes .*Bernoulli.*Categorical.*, not Normal"):
        Exact()(jax.random.key(0), Normal(jnp.zeros(2), jnp.zeros(2)), jnp.sum)
