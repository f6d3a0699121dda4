"""A constant added to f, in float32: what cancels is rounded as f's differences are, not as f."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    ARMS,
    CARMS,
    REBAR,
    RELAX,
    Average,
    Bernoulli,
    Categorical,
    DisARM,
    DoubleCV,
    Exact,
    ImportanceBound,
    IndeCateR,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
    SumAndSample,
    UnorderedSet,
)
from estimators.core.averages import deviations, mean_of_others, sum_of_others
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE
from tests.estimators.helpers.examples import EXAMPLES, is_first, parameter

pytestmark = pytest.mark.usefixtures("strict_dtypes")

CONSTANT = 2.0**20
ULP = 2.0**-3
KEYS = jax.random.split(jax.random.key(5), 64)
LOGITS = {
    Bernoulli: np.linspace(-2, 1.5, 12, dtype=np.float32),
    Categorical: np.float32([[0.5, -0.3, 1.2, 0.1], [-1.0, 0.2, 0.8, -0.4]]),
}

MANY = [
    ScoreFunction(LeaveOneOut(500)),
    ARMS(100),
    CARMS(30),
    DoubleCV(100),
    IndeCateR(20),
    UnorderedSet(30),
    SumAndSample(2**12),
    Average(DisARM(), 500),
]
"""Where a sum over many samples would lose most."""

DEPENDS = {
    str(example)
    for example in (*ScoreFunction.examples(), *SumAndSample.examples(), *Average.examples())
    if "LeaveOneOut" not in str(example)
} | {"RELAX"}
"""Estimators whose gradient depends on the constant by design: it multiplies the score."""

BETWEEN_CORNERS = MuProp, REBAR, RELAX
"""Estimators that subtract a value of f between the corners."""


def results(example, cls, constants):
    """Return the value and the gradient for each key, at each of some constants in f."""
    logits = jnp.asarray(LOGITS[cls])
    example = example.initialise(jax.random.key(7), cls(logits))
    size = LOGITS[cls].size
    weights = np.round(8 * np.cos(np.arange(size * size))).reshape(size, size) / 8

    def loss(logits, key, constant):
        def f(z):  # at the corners a multiple of ULP, also with the constant
            x = z.ravel()
            return x @ jnp.asarray(weights, x.dtype) @ x + constant

        q = cls(logits)
        if example.needs_bound:
            return example(key, q.independent(3), ImportanceBound(f))
        return example(key, q, f)

    gradient = jax.jit(
        jax.vmap(jax.value_and_grad(loss), (None, 0, None)), compiler_options=FAST_TO_COMPILE
    )
    return [map(np.asarray, gradient(logits, KEYS, np.float32(one))) for one in constants]


def cases():
    for example in (*EXAMPLES, *MANY):
        cls = Bernoulli if Bernoulli in example.distributions else Categorical
        if cls not in example.distributions:
            continue
        slow = not (is_first(example) or example in MANY)
        yield parameter(example, example, cls, slow=slow)


@pytest.mark.first_cases(40)
@pytest.mark.parametrize(("example", "cls"), list(cases()))
def test_a_constant_in_f(example, cls):
    (value, slope), (value_without, slope_without) = results(example, cls, (CONSTANT, 0))
    sign = -1 if example.needs_bound else 1
    # Rounded once or twice, whatever the number of states or samples.
    np.testing.assert_allclose(value - sign * CONSTANT, value_without, rtol=0, atol=2 * ULP)
    if str(example) in DEPENDS:
        assert abs(slope - slope_without).max() > 1
        pytest.skip("the constant multiplies its score")
    # Between the corners f itself is rounded to multiples of ULP, before the estimator has it.
    atol = 2 * ULP if isinstance(example, BETWEEN_CORNERS) else 1e-4
    np.testing.assert_allclose(slope, slope_without, rtol=1e-5, atol=atol)


def test_every_derivative_of_the_exact_value(float64):
    """What is subtracted is constant: second derivatives, and those in f's parameters."""

    def value(logits, weight):
        q = Bernoulli(logits)
        return Exact()(
            jax.random.key(0), q, lambda z: jnp.exp(weight * (z @ jnp.array([1.0, -2.0])))
        )

    def written_out(logits, weight):
        s = jax.nn.sigmoid(logits)
        return jnp.prod(1 - s + s * jnp.exp(weight * jnp.array([1.0, -2.0])))

    at = jnp.array([0.3, -0.8]), jnp.array(0.7)
    for order in (lambda f: jax.grad(f, (0, 1)), lambda f: jax.hessian(f, (0, 1))):
        found, wanted = (jax.jit(order(f))(*at) for f in (value, written_out))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, wanted)


def test_deviations():
    steps = np.float32([0.125, 0.25, -0.5, 0.0])
    np.testing.assert_array_equal(deviations(jnp.asarray(steps) + 2.0**20), steps - steps.mean())


def test_others():
    """Not by subtraction: one large or infinite value leaves the rest as it is."""
    values = jnp.array([-0.4, 0.3, -1e10], jnp.float32)
    np.testing.assert_allclose(mean_of_others(values), [-5e9, -5e9, -0.05], rtol=1e-6)
    values = jnp.array([[1.0, 2.0], [-np.inf, 5.0], [4.0, -7.0]])
    np.testing.assert_array_equal(sum_of_others(values), [[-np.inf, -2], [5, -5], [-np.inf, 7]])
