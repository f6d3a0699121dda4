"""The toys against their closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Bernoulli, Exact, GumbelSoftmax
from experiments.measurement.point import prepare
from experiments.problems import (
    VAE,
    Coupled,
    FourValues,
    Polynomial,
    Quadratic,
    SimplexQuadratic,
    Subsets,
)
from tests.experiments.helpers.problems import KEY, exact, sigmoid


@pytest.mark.parametrize("target", [0.45, 0.499])
@pytest.mark.parametrize("logit", [-2.0, 1.0])
def test_quadratic(target, logit):
    problem = Quadratic(target, logit)
    s = sigmoid(logit)
    value, slope = exact(problem)
    assert value == pytest.approx(s * (1 - target) ** 2 + (1 - s) * target**2, rel=1e-6)
    # The gradient is small beside f where the target is near one half.
    assert slope == pytest.approx([(1 - 2 * target) * s * (1 - s)], abs=1e-7)


def test_coupled():
    problem = Coupled(bits=3)
    weights, p = np.linspace(1, 2, 3), sigmoid(np.linspace(-2, 2, 3))
    expected = 0.0
    for state in itertools.product((0.0, 1.0), repeat=3):
        b = np.array(state)
        product = np.prod(0.5 + b) ** (1 / 3)
        f = np.cos(weights @ b) + 0.5 * (b.mean() - 0.45) ** 2 * product
        expected += f * np.prod(np.where(b == 1, p, 1 - p))
    assert exact(problem)[0] == pytest.approx(expected, rel=1e-6)


def test_coupled_is_neither_linear_nor_separable():
    # So that no estimator is exact by accident: f'(b) changes with b and with the other bits.
    problem = Coupled(bits=3)
    slopes = jax.vmap(jax.grad(problem.f, 1), (None, 0))(
        jnp.zeros(3), Bernoulli(jnp.zeros(3)).states()
    )
    assert np.all(np.ptp(slopes, axis=0) > 0.3)


def test_subsets():
    """On subsets f is linear: E f = sum of (1 - 2 b) mu + b^2."""
    problem = Subsets(items=6, k=2)
    logits = np.asarray(problem.logits(), float)
    at_zero, at_one = (float(problem.f(None, jnp.full(6, x))) for x in (0.0, 1.0))
    corners = np.array([float(problem.f(None, row)) for row in jnp.eye(6)])
    np.testing.assert_allclose((corners - at_zero).sum(), at_one - at_zero, rtol=1e-5)
    states = np.array([z for z in itertools.product([0.0, 1.0], repeat=6) if sum(z) == 2])
    chance = np.exp(states @ logits) / np.exp(states @ logits).sum()
    values = at_zero + states @ (corners - at_zero)
    value, slope = exact(problem)
    assert value == pytest.approx(chance @ values, rel=1e-5)
    wanted = (chance * (values - chance @ values)) @ states
    np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("problem", [SimplexQuadratic(), SimplexQuadratic(scale=1.5)], ids=str)
def test_simplex_quadratic(problem):
    # E f = (p - c)' Q (p - c); f itself depends on the logits, and the loss is differentiated
    # through both.
    def closed(logits):
        index = jnp.arange(3.0)
        q = jnp.exp(-2 * jnp.abs(index[:, None] - index[None, :]))
        off = jax.nn.softmax(logits) - 1 / 3
        return off @ q @ off

    # Away from uniform logits, where everything is zero.
    logits = problem.logits() + jnp.array([0.1, 0.7, -0.2])
    value, slope = exact(problem, logits)
    expected, expected_slope = jax.jit(jax.value_and_grad(closed))(logits)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-4, atol=1e-6)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("power", [1.5, 2.0, 3.0])
def test_polynomial(power):
    binary = Polynomial(power, bits=5)
    categorical = Polynomial(power, bits=5, latent="Categorical")
    p = sigmoid(np.linspace(-1, 1, 5))
    expected = np.mean(p * 0.55**power + (1 - p) * 0.45**power)
    slope = p * (1 - p) * (0.55**power - 0.45**power) / 5
    for problem in (binary, categorical):
        params = jax.jit(problem.initial)(KEY)
        closed, closed_slope = jax.jit(jax.value_and_grad(problem.exact_loss))(params, None)
        np.testing.assert_allclose(closed, expected, rtol=1e-6)
        value, enumerated = exact(problem)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        np.testing.assert_allclose(enumerated, closed_slope["logits"], rtol=1e-4, atol=1e-7)
        found = enumerated if problem is binary else enumerated[:, 1]
        np.testing.assert_allclose(found, slope, rtol=1e-4)
        if problem is categorical:
            np.testing.assert_allclose(enumerated[:, 0], -slope, rtol=1e-4)


def test_polynomial_at_its_published_size_has_an_exact_gradient():
    problem = Polynomial(bits=128)
    distribution = problem.distribution(problem.initial(KEY), None)
    assert "states" in problem.refusal(Exact(), distribution)
    assert prepare(problem, KEY).truth.blocks is None


def test_the_states_of_all_layers_are_counted():
    """Twelve bits are few; twelve over twelve, enumerated one inside the other, are too many."""
    for latent in ("Bernoulli", "Categorical"):
        one, two = (VAE(latent=latent, size=12, classes=2, depth=depth) for depth in (1, 2))
        distribution = one.layer.distribution(jnp.zeros(one.layer.num_logits))
        assert one.refusal(Exact(), distribution) is None
        assert "16,777,216 states; at most 1,048,576" in two.refusal(Exact(), distribution)
        assert two.refusal(GumbelSoftmax(0.5), distribution) is None


@pytest.mark.parametrize("integer", [False, True])
def test_four_values(integer):
    """The sum over variables is the expectation: of two variables, by enumeration."""
    problem = FourValues(power=1.5, variables=2, integer=integer, spread=1.0)
    params = problem.initial(KEY)
    assert abs(params["logits"]).max() <= 1 and np.ptp(params["logits"]) > 0.5
    enumerated = problem.loss(params, Exact(), KEY, None)
    assert problem.exact_loss(params, None) == pytest.approx(float(enumerated), rel=1e-6)
    least = {False: 0.0136, True: 0.0398}[integer]
    assert min(abs(np.asarray(problem.values()) - 0.45) ** 1.5) == pytest.approx(least, rel=1e-2)
