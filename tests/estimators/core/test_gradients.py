"""The two primitives: what they add to a derivative, and what they leave alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    NVIL,
    Bernoulli,
    MovingAverage,
    MuProp,
    ScoreFunction,
    attach_gradient,
    attach_tuning,
)
from tests.estimators.helpers.cost import flops
from tests.estimators.helpers.examples import FIRST

pytestmark = pytest.mark.usefixtures("strict_dtypes")


# attach_gradient


def test_attach_gradient_adds_to_the_derivative_and_leaves_the_value():
    at = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}
    gradient = {"a": jnp.array([10.0, 20.0]), "b": jnp.array(30.0)}

    def loss(at, other):
        value = at["a"].sum() * other  # has a derivative of its own
        return attach_gradient(value, at, gradient)

    value, (in_at, in_other) = jax.value_and_grad(loss, (0, 1))(at, jnp.array(5.0))
    assert value == 15
    np.testing.assert_array_equal(in_at["a"], [15, 25])
    assert in_at["b"] == 30
    assert in_other == 3


def test_attach_gradient_in_forward_mode():
    at, tangent = jnp.array([1.0, 2.0]), jnp.array([0.5, -1.0])
    gradient = jnp.array([10.0, 20.0])
    _, slope = jax.jvp(lambda at: attach_gradient(at.sum(), at, gradient), (at,), (tangent,))
    assert slope == (1 + 10) * 0.5 - (1 + 20)


def test_attach_gradient_follows_the_chain_rule_and_the_cotangent():
    def loss(x):
        return -3 * attach_gradient(jnp.array(7.0), jnp.exp(x), jnp.array([1.0, 2.0]))

    x = jnp.array([0.3, -0.4])
    np.testing.assert_allclose(jax.grad(loss)(x), -3 * np.array([1, 2]) * np.exp(x), rtol=1e-6)


def test_attach_gradient_passes_no_derivative_through_the_gradient():
    def loss(x):
        return attach_gradient(x, jnp.array(2.0), x**2)

    assert jax.grad(loss)(jnp.array(3.0)) == 1


def test_attach_gradient_of_each_example_under_vmap():
    at, gradient = jnp.arange(6.0).reshape(3, 2), jnp.arange(6.0).reshape(3, 2) + 10

    def loss(at):
        return jax.vmap(lambda a, g: attach_gradient(a[0], a, g))(at, gradient).sum()

    np.testing.assert_array_equal(jax.grad(loss)(at), gradient + jnp.array([1.0, 0.0])[None])


@pytest.mark.parametrize("attach", [attach_gradient, attach_tuning])
@pytest.mark.parametrize(
    ("shape", "other"), [((3,), ()), ((3,), (2, 3)), ((3,), (1,)), ((), (3,)), ((2, 3), (3, 2))]
)
def test_a_gradient_of_another_shape_is_refused(attach, shape, other):
    """It was broadcast, and summed."""
    at, gradient = {"leaf": jnp.zeros(shape)}, {"leaf": jnp.ones(other)}
    with pytest.raises(ValueError) as raised:
        attach(jnp.array(1.0), at, gradient)
    assert all(str(one) in str(raised.value) for one in (shape, other))


@pytest.mark.parametrize("attach", [attach_gradient, attach_tuning])
def test_a_value_that_is_no_scalar_is_refused(attach):
    with pytest.raises(ValueError, match=r"value must be a scalar, not of shape \(3,\)"):
        attach(jnp.ones(3), jnp.zeros(3), jnp.ones(3))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_attached_gradient_costs_nothing_unless_asked_for(mode):
    matrix = jnp.ones((50, 50))

    def loss(x, at, attach):
        value = jnp.sin(x).sum()
        return attach_gradient(value, at, matrix @ at) if attach else value

    x, at = jnp.ones(3), jnp.ones(50)

    def derivative(argument, attach):
        function = functools.partial(loss, attach=attach)
        if mode == "reverse":
            return lambda x, at: jax.value_and_grad(function, argument)(x, at)
        tangents = (jnp.ones_like(x), jnp.ones_like(at))
        point = (x, at)

        def partly(moved):
            return function(*(moved if i == argument else p for i, p in enumerate(point)))

        return lambda *point: jax.jvp(partly, (point[argument],), (tangents[argument],))

    assert flops(derivative(0, True), x, at) == flops(derivative(0, False), x, at)
    assert flops(derivative(1, True), x, at) > flops(derivative(1, False), x, at) + 2 * 50 * 49


# attach_tuning


def test_attach_tuning_leaves_value_and_derivative_alone():
    def loss(x, at):
        return attach_tuning(jnp.sin(x), at, jnp.array([3.0, 4.0]))

    value, (in_x, in_at) = jax.value_and_grad(loss, (0, 1))(jnp.array(0.5), jnp.zeros(2))
    assert value == jnp.sin(0.5)
    assert in_x == jnp.cos(0.5)
    np.testing.assert_array_equal(in_at, [3, 4])


@pytest.mark.parametrize("scale", [2.0, -2.0])
def test_attached_tuning_is_scaled_by_the_size_of_the_cotangent(scale):
    def loss(at):
        return scale * attach_tuning(jnp.array(0.5), at, jnp.array([3.0, -4.0]))

    np.testing.assert_array_equal(jax.grad(loss)(jnp.zeros(2)), [6, -8])


def test_attached_tuning_of_a_batch_is_its_mean():
    """Not its sum, nor a multiple of it; also for members that share what is tuned."""
    gradients = jnp.arange(32.0).reshape(16, 2)

    def loss(at, sign):
        each = jax.vmap(lambda g: attach_tuning(g.sum(), at, g))(gradients)
        return sign * each.mean()

    for sign in (1.0, -1.0):
        np.testing.assert_allclose(jax.grad(loss)(jnp.zeros(2), sign), gradients.mean(0), rtol=1e-6)


@pytest.mark.parametrize("around", [lambda f: f, jax.jit])
def test_forward_mode_does_not_tune(around):
    def of(at):
        return attach_tuning(jnp.array(0.5), at, jnp.ones(2))

    with pytest.raises(TypeError, match="use reverse mode"):
        around(jax.jacfwd(of))(jnp.zeros(2))


def test_attached_tuning_has_no_second_derivative():
    def of(at):
        return attach_tuning(jnp.array(0.5), at, at**2)

    with pytest.raises(TypeError, match="first derivatives only"):
        jax.hessian(of)(jnp.ones(2))


def test_attached_tuning_of_an_infinite_value():
    assert attach_tuning(jnp.array(np.inf), jnp.zeros(2), jnp.zeros(2)) == np.inf


# Estimators that tune themselves

LOGITS = jnp.array([-2.0, 0.5, 1.0])
WEIGHTS = jnp.array([1.0, -2.0, 0.5])


def learned_estimator():
    """The score function with a network that says something."""
    estimator = ScoreFunction(NVIL()).initialise(jax.random.key(1), Bernoulli(LOGITS))
    return jax.tree.map(lambda leaf: leaf + 0.1 if leaf.ndim else leaf, estimator)


def loss(model, estimator, keys, sign=1.0):
    def one(key):
        def f(z):
            return (model["weights"] @ z - 0.3) ** 2

        return estimator(key, Bernoulli(model["logits"]), f)

    return sign * jax.vmap(one)(keys).mean()


MODEL = {"logits": LOGITS, "weights": WEIGHTS}
KEYS = jax.random.split(jax.random.key(2), 16)


def test_model_gradients_are_the_same_with_tuning_and_without():
    estimator = learned_estimator()
    alone = jax.jit(jax.grad(loss))(MODEL, estimator, KEYS)
    tuned, tuning = jax.jit(jax.grad(loss, (0, 1)))(MODEL, estimator, KEYS)
    jax.tree.map(np.testing.assert_array_equal, alone, tuned)
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(tuning.baseline.network))


def test_tuning_gradients_do_not_depend_on_the_sign_of_the_loss():
    estimator = learned_estimator()
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    model, tuning = gradient(MODEL, estimator, KEYS, 1.0)
    negated, tuning_negated = gradient(MODEL, estimator, KEYS, -1.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, -b, rtol=1e-5), model, negated)
    jax.tree.map(np.testing.assert_array_equal, tuning, tuning_negated)


def test_tuning_gradient_of_a_batch_is_the_mean():
    estimator = learned_estimator()
    gradient = jax.jit(jax.grad(loss, 1))
    each = [gradient(MODEL, estimator, KEYS[i : i + 1]) for i in range(16)]
    mean = jax.tree.map(lambda *leaves: jnp.mean(jnp.stack(leaves), 0), *each)
    batch = gradient(MODEL, estimator, KEYS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), batch, mean)


def without_tuning(monkeypatch):
    monkeypatch.setattr(
        "estimators.score_function.score_function.attach_tuning", lambda value, at, gradient: value
    )


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_tuning_costs_nothing_unless_asked_for(mode, monkeypatch):
    estimator = learned_estimator()
    key = KEYS[0]

    def one(model, estimator):
        def f(z):
            return (model["weights"] @ z - 0.3) ** 2

        return estimator(key, Bernoulli(model["logits"]), f)

    def derivative(model, estimator):
        if mode == "reverse":
            return jax.value_and_grad(one)(model, estimator)
        return jax.jvp(lambda model: one(model, estimator), (model,), (model,))

    cost = flops(derivative, MODEL, estimator)
    tuned = flops(jax.value_and_grad(one, (0, 1)), MODEL, estimator)
    without_tuning(monkeypatch)
    assert cost == flops(derivative, MODEL, estimator)
    assert tuned > cost + 500  # the network's backward pass: 100 hidden units


@pytest.mark.parametrize(
    "estimator",
    [ScoreFunction(), ScoreFunction(MovingAverage(0.9, 0.5)), learned_estimator(), MuProp()],
    ids=["none", "moving average", "network", "MuProp"],
)
def test_forward_mode(estimator):
    """Agrees with reverse mode where only the model is differentiated."""
    tangent = {"logits": jnp.array([0.3, -1.0, 2.0]), "weights": jnp.array([1.0, 0.5, -0.5])}

    def model_loss(model):
        return loss(model, estimator, KEYS)

    value, slope = jax.jit(lambda t: jax.jvp(model_loss, (MODEL,), (t,)))(tangent)
    wanted, gradient = jax.jit(jax.value_and_grad(model_loss))(MODEL)
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    wanted = sum(jnp.vdot(gradient[name], tangent[name]) for name in tangent)
    np.testing.assert_allclose(slope, wanted, rtol=1e-5)


def test_leaves_that_are_not_tuned_have_no_gradient():
    """A temperature, a slope or a decay is not learned by accident."""
    q = Bernoulli(LOGITS)
    examples = [e for e in FIRST if Bernoulli in e.distributions and not e.needs_bound]

    def loss(examples):
        return sum(example(KEYS[0], q, lambda z: (WEIGHTS @ z) ** 2) for example in examples)

    @jax.jit
    def gradients(examples):
        return jax.grad(loss)([e.initialise(jax.random.key(1), q) for e in examples])

    for example, gradient in zip(examples, gradients(examples), strict=True):
        for name, value in gradient.hyperparameters().items():
            if name.split(".")[-1] in ("temperature", "slope", "decay"):
                assert value == 0, (str(example), name)
