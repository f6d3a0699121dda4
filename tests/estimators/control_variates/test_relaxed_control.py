"""REBAR and RELAX: definition, identities, exact mean by quadrature, tuning, several layers."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    MLP,
    REBAR,
    RELAX,
    Bernoulli,
    Categorical,
    Estimator,
    ScoreFunction,
    black_box,
    stack,
)
from estimators.control_variates.coupling import noise_given
from estimators.core.continuous_pass import relaxed_pass
from tests.estimators.helpers import checks
from tests.estimators.helpers.cost import flops
from tests.estimators.helpers.enumeration import exact, logistic_panels, per_key
from tests.estimators.helpers.scripted import logistic_keys

BITS = np.array([-4.0, 0.7, 2.5])
CLASSES = np.array([[4.0, 0.5, -1.0], [-0.5, 0.3, 0.2]])
DISTRIBUTIONS = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}
EVERY = pytest.mark.parametrize("name", DISTRIBUTIONS)


def coupled(z):
    x = z.ravel()
    weights = jnp.asarray(np.cos(2.0 * np.arange(x.size) + 1), x.dtype)
    return jnp.sin(weights @ x) + (weights @ x) ** 3 + x[0] * x[-1]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Definition and exact mean, on one bit -----------------------------------------------------------

LOGIT, ETA = 0.7, 0.8


def cubic(z):
    return (z.ravel()[0] + 0.5) ** 3


def one_bit_grid(temperature):
    """Noise of the bit and further noise `[N, 2]` with weights `[N]`, smooth on each panel."""
    nodes, weights = logistic_panels(-LOGIT, temperature, order=8)
    # Where the conditional sample turns over, for either bit.
    further, more = logistic_panels(0.0, temperature, order=8)
    grid = np.stack(np.meshgrid(nodes, further, indexing="ij"), -1).reshape(-1, 2)
    return grid, np.outer(weights, more).ravel()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("relaxation", ["plain", "modified"])
@pytest.mark.parametrize("temperature", [0.5, 1.5])
def test_rebar_on_one_bit(temperature, relaxation):
    """Each gradient as the paper defines it; the mean by quadrature is the truth."""
    grid, weights = one_bit_grid(temperature)
    estimator = REBAR(temperature, ETA, relaxation)
    logits = np.array([LOGIT])
    values, gradients = per_key(estimator, Bernoulli, logits, logistic_keys(grid[..., None]), cubic)

    def soft(z, logit):
        shift = temperature / (temperature + 1) * logit if relaxation == "modified" else 0
        return sigmoid(z / temperature + shift)

    def conditioned(logit, noise, bit):
        u, p = sigmoid(noise), sigmoid(logit)
        one = logit + np.log((1 - p + u * p) / (p * (1 - u)))
        zero = logit + np.log(u * (1 - p) / (1 - u * (1 - p)))
        return np.where(bit, one, zero)

    def f(b):
        return (b + 0.5) ** 3

    def slope(function, step=1e-5):
        return (function(LOGIT + step) - function(LOGIT - step)) / (2 * step)

    noise, further = grid.T
    bit = LOGIT + noise > 0
    given = ETA * f(soft(conditioned(LOGIT, further, bit), LOGIT))
    defined = (
        (f(bit) - given) * (bit - sigmoid(LOGIT))
        + slope(lambda logit: ETA * f(soft(logit + noise, logit)))
        - slope(lambda logit: ETA * f(soft(conditioned(logit, further, bit), logit)))
    )
    inside = np.abs(grid).max(-1) < 12  # beyond, the formulas above lose digits
    np.testing.assert_allclose(values, f(bit), rtol=1e-12)
    np.testing.assert_allclose(gradients[inside, 0], defined[inside], rtol=1e-5, atol=1e-7)
    truth = exact(Bernoulli, logits, cubic)[1]
    np.testing.assert_allclose(weights @ gradients, truth, rtol=1e-6)


@pytest.mark.usefixtures("float64")
def test_relax_on_one_bit():
    """Unbiased for a network that is nowhere near f."""
    grid, weights = one_bit_grid(1.0)
    network = {"weight": jnp.ones((1, 2)), "bias": jnp.array([-0.3, 0.4])}
    layers = network | {"out": jnp.array([2.0, -0.7]), "out_bias": jnp.array(0.3)}
    estimator = RELAX(MLP(2, layers))
    logits = np.array([LOGIT])
    _, gradients = per_key(estimator, Bernoulli, logits, logistic_keys(grid[..., None]), cubic)
    truth = exact(Bernoulli, logits, cubic)[1]
    np.testing.assert_allclose(weights @ gradients, truth, rtol=1e-6)
    plain = per_key(ScoreFunction(), Bernoulli, logits, logistic_keys(grid[..., None]), cubic)[1]
    assert np.abs(gradients - plain).max() > 0.1


# Identities --------------------------------------------------------------------------------------


def sampled(estimator, name, f=coupled):
    cls, logits = DISTRIBUTIONS[name]
    return per_key(estimator, cls, logits, jax.random.split(jax.random.key(0), 200), f)


def assert_same(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)


@pytest.mark.first_cases(1)
@pytest.mark.usefixtures("float64")
@EVERY
def test_without_control_they_are_the_score_function(name):
    cls, logits = DISTRIBUTIONS[name]
    untrained = RELAX().initialise(jax.random.key(1), cls(jnp.asarray(logits)))
    for estimator in (REBAR(0.5, 0.0), REBAR(0.5, 0.0, "modified"), untrained):
        assert_same(sampled(estimator, name), sampled(ScoreFunction(), name))


@pytest.mark.first_cases(1)
@pytest.mark.usefixtures("float64")
@EVERY
def test_relax_of_f_is_rebar(name):
    cls, logits = DISTRIBUTIONS[name]
    relax = RELAX(temperature=0.5, relaxes_objective=True)
    relax = relax.initialise(jax.random.key(1), cls(jnp.asarray(logits)))
    assert_same(sampled(relax, name), sampled(REBAR(0.5, 1.0), name))

    # c = eta f, written as any other control variate.
    scaled = RELAX(jax.tree_util.Partial(lambda soft: 0.3 * coupled(soft)), 0.5)
    if cls is Bernoulli:
        assert_same(sampled(scaled, name), sampled(REBAR(0.5, 0.3), name))


@pytest.mark.usefixtures("float64")
def test_modified_relaxation_is_the_papers():
    """The coefficient of phi is (t^2 + t + 1) / (t (t + 1)), and hot samples tend to the mean."""
    points = []

    def f(z):
        jax.debug.callback(points.append, z)
        return z.sum() ** 2

    phi, key = np.array([0.7]), jax.random.key(3)
    noise = np.asarray(Bernoulli(phi).noise(key))
    slope = jax.jit(jax.grad(lambda q, t: REBAR(t, 1.0, "modified")(key, q, f)))
    for t in (0.3, 1.0, 4.0):
        points.clear()
        slope(Bernoulli(phi), t)
        jax.effects_barrier()
        expected = sigmoid(noise / t + phi * (t**2 + t + 1) / (t * (t + 1)))
        assert min(np.abs(point - expected).max() for point in points) < 1e-12


@pytest.mark.usefixtures("float64")
@EVERY
def test_noise_given_inverts_perturb_given(name):
    cls, logits = DISTRIBUTIONS[name]
    q = cls(logits)

    @jax.jit
    @jax.vmap
    def there_and_back(key):
        z = q.perturb(q.noise(key))
        again = q.perturb_given(noise_given(q, z, q.hard(z)), q.hard(z))
        further = q.noise(jax.random.fold_in(key, 1))
        back = noise_given(q, q.perturb_given(further, q.hard(z)), q.hard(z))
        return z, again, further, back

    z, again, further, back = there_and_back(jax.random.split(jax.random.key(0), 50))
    np.testing.assert_allclose(again, z, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(back, further, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("float64")
@EVERY
def test_coupled_noise_gives_the_same_relaxed_sample(name):
    """So both evaluations of f are at one point, and only their derivatives differ."""
    cls, logits = DISTRIBUTIONS[name]
    points = []
    seen = checks.recorder(points)
    loss = jax.jit(
        jax.value_and_grad(
            lambda logits: REBAR(0.5, coupled=True)(
                jax.random.key(1), cls(logits), lambda z: coupled(seen(z))
            )
        )
    )
    jax.block_until_ready(loss(jnp.asarray(logits)))
    soft = [point for point in points if not np.isin(point, (0, 1)).all()]
    assert len(soft) == 2
    np.testing.assert_allclose(soft[0], soft[1], rtol=1e-9)


# Tuning ------------------------------------------------------------------------------------------


def relaxed_control_cases() -> list[Estimator]:
    return [REBAR(0.5, 0.7), RELAX(), RELAX(temperature=0.5, relaxes_objective=True)]


CASES = pytest.mark.parametrize("estimator", relaxed_control_cases(), ids=str)


@pytest.mark.first_cases(1)
@pytest.mark.first_cases(3)
@pytest.mark.usefixtures("float64")
@CASES
@EVERY
def test_tuning_gradient_is_that_of_the_squared_gradient(estimator, name):
    """By finite differences, whatever the sign and scale with which the loss is used."""
    cls, logits = DISTRIBUTIONS[name]
    q, key = cls(jnp.asarray(logits)), jax.random.key(4)
    estimator = estimator.initialise(jax.random.key(1), q)
    estimator = jax.tree.map(
        lambda leaf: (
            jnp.float64(leaf) + (0.1 * jax.random.normal(key, leaf.shape) if leaf.ndim else 0)
        ),
        estimator,
    )

    @jax.jit
    def square(estimator):
        return jnp.sum(jax.grad(lambda q: estimator(key, q, coupled))(q).logits ** 2)

    tuning = jax.jit(jax.grad(lambda e: -3 * e(key, q, coupled)))(estimator)
    for path in ("log_temperature_change", "eta_change"):
        if not hasattr(estimator, path):
            continue
        moved = [
            dataclasses.replace(estimator, **{path: getattr(estimator, path) + step})
            for step in (1e-5, -1e-5)
        ]
        difference = (square(moved[0]) - square(moved[1])) / 2e-5
        np.testing.assert_allclose(getattr(tuning, path), 3 * difference, rtol=1e-5, atol=1e-7)
    if isinstance(estimator, RELAX):
        layers = estimator.control_variate.layers
        step = jax.tree.map(jnp.ones_like, layers)
        moved = [
            dataclasses.replace(
                estimator,
                control_variate=MLP(
                    estimator.control_variate.hidden,
                    jax.tree.map(lambda leaf, s, h=h: leaf + h * s, layers, step),
                ),
            )
            for h in (1e-6, -1e-6)
        ]
        difference = (square(moved[0]) - square(moved[1])) / 2e-6
        along = jax.tree.reduce(jnp.add, jax.tree.map(jnp.sum, tuning.control_variate.layers))
        np.testing.assert_allclose(along, 3 * difference, rtol=1e-4, atol=1e-6)


@pytest.mark.first_cases(1)
@CASES
def test_tuning_costs_nothing_unless_asked_for(estimator):
    q, key = Bernoulli(jnp.zeros(50)), jax.random.key(0)
    estimator = estimator.initialise(key, q)
    matrix = jnp.ones((50, 50))

    def loss(q, estimator):
        return estimator(key, q, lambda z: jnp.sum(jnp.sin(matrix @ z) ** 2))

    def untuned(q, estimator):
        return loss(q, jax.lax.stop_gradient(estimator))

    model_only = flops(jax.grad(loss), q, estimator)
    assert model_only == flops(jax.grad(untuned), q, estimator)
    assert flops(jax.grad(loss, (0, 1)), q, estimator) > 1.3 * model_only


@pytest.mark.first_cases(2)
@CASES
def test_tuning_leaves_the_models_gradient_alone(estimator):
    """For whatever f closes over as well."""
    q, key = Bernoulli(jnp.asarray([0.3, -0.8])), jax.random.key(2)
    estimator = estimator.initialise(key, q)

    def loss(model, estimator):
        logits, weights = model
        return estimator(key, Bernoulli(logits), lambda z: jnp.sin(weights @ z) + logits @ z)

    model = q.logits, jnp.asarray([1.0, -2.0])
    alone = jax.jit(jax.grad(loss))(model, estimator)
    beside, _ = jax.jit(jax.grad(loss, (0, 1)))(model, estimator)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), alone, beside)


def test_any_pytree_is_a_control_variate():
    """With parameters as leaves, which learn."""
    control = jax.tree_util.Partial(lambda weights, soft: weights @ soft, jnp.asarray([1.0, -1.0]))
    estimator, q = RELAX(control), Bernoulli(jnp.asarray([0.3, -0.8]))
    f = black_box(lambda z: z @ jnp.asarray([1.0, 2.0]) + 1)

    def loss(estimator):
        return estimator(jax.random.key(1), q, f)

    gradient = jax.jit(jax.grad(loss))(estimator)
    assert np.abs(gradient.control_variate.args[0]).max() > 0
    swept = jax.jit(jax.vmap(loss))(stack([estimator, estimator]))
    assert swept.shape == (2,)


# Several layers ----------------------------------------------------------------------------------


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_relaxed_passes(layers):
    """2 L + 1 evaluations for L layers, not 3 ** L; one of them at hard samples."""
    points = []
    seen = checks.recorder(points)
    between = jnp.asarray([[1.0, -2.0], [0.5, 1.5]])

    def loss(logits, keys):
        def descend(number, above):
            if number == layers:
                above = seen(above)
                return jnp.sin(above[0] + 2 * above[1]) + above[0] * above[1]
            q = Bernoulli(logits[number] + above @ between)
            return REBAR(0.5)(keys[number], q, lambda z: descend(number + 1, z))

        return descend(0, jnp.zeros(2))

    logits = jnp.asarray([[0.3, -0.5]] * layers)
    keys = jax.random.split(jax.random.key(0), layers)
    jax.block_until_ready(jax.jit(jax.value_and_grad(loss))(logits, keys))
    assert len(points) == 2 * layers + 1
    assert sum(np.isin(point, (0, 1)).all() for point in points) == 1


@pytest.mark.usefixtures("float64")
def test_relaxed_pass_of_a_nested_call():
    """f at the relaxed sample of the hard sample's noise, at the pass's own temperature."""
    key, logits = jax.random.key(5), jnp.asarray([0.4, -1.1])

    @jax.jit
    def inner(logits):
        return ScoreFunction()(key, Bernoulli(logits), coupled)

    def passed(logits, temperature):
        with relaxed_pass(temperature):
            return inner(logits)

    def written_out(logits, temperature):
        q = Bernoulli(logits)
        return coupled(q.squash(q.perturb(q.noise(key)) / temperature))

    inner(logits)  # compiled before, outside of a pass
    for transform in (lambda f: f, jax.jit, partial(jax.value_and_grad, argnums=(0, 1))):
        for temperature in (0.3, 1.5):
            arguments = logits, jnp.asarray(temperature)
            got, wanted = transform(passed)(*arguments), transform(written_out)(*arguments)
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12), got, wanted)
    outside = coupled(Bernoulli(logits).sample(key))
    np.testing.assert_allclose(inner(logits), outside, rtol=1e-12)
