"""Several stochastic layers: nested calls, the tower rule, and the continuous pass."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    REBAR,
    Bernoulli,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
    black_box,
)
from tests.estimators.helpers import checks
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE, joint
from tests.estimators.helpers.examples import EXAMPLES, FIRST, parameters
from tests.estimators.helpers.problems import MORE_NESTED
from tests.estimators.helpers.sampling import layer_keys, one_key
from tests.estimators.helpers.scripted import hard_keys, logistic_keys
from tests.estimators.helpers.truth import true_gradient

pytestmark = pytest.mark.usefixtures("strict_dtypes")

TWO_BITS = MORE_NESTED[0]
"""Two bits over two bits."""


# The tower rule, exactly


def noise_cells(draws):
    """Return noise `[N, draws, 2]` of layer two that stands for all noise, and its chances.

    A draw of layer two depends on its logits, which depend on layer one's sample. Between the
    thresholds that these logits set, whatever layer one's sample, nothing changes.
    """
    p = TWO_BITS.parameters
    above = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
    thresholds = -(p["second"] + above @ p["between"])  # [states of layer one, bits of layer two]
    noise, chance = [], []
    for bit in thresholds.T:
        edges = np.concatenate([[-30.0], np.sort(bit), [30.0]])
        noise.append((edges[1:] + edges[:-1]) / 2)
        chance.append(np.diff(1 / (1 + np.exp(-edges))))
    cells = np.array(list(itertools.product(*noise)))
    chances = np.array([np.prod(c) for c in itertools.product(*chance)])
    picks = np.array(list(itertools.product(range(len(cells)), repeat=draws)))
    return cells[picks], chances[picks].prod(-1)


@functools.partial(jax.jit, compiler_options=FAST_TO_COMPILE)
def nested_gradients(operators, first_keys, second_keys, parameters):
    def one(first, second):
        return TWO_BITS.gradient(operators, (first, second), parameters)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(first_keys, second_keys)


@pytest.mark.parametrize(
    ("estimator", "draws"),
    [(ScoreFunction(), 1), (ScoreFunction(LeaveOneOut(2)), 2), (MuProp(), 1)],
    ids=str,
)
@pytest.mark.usefixtures("float64")
def test_tower_rule(estimator, draws):
    """Summed over all samples above and all noise below, every gradient is the truth."""
    samples, first_chance = joint(TWO_BITS.layer(0, jnp.float64), draws)
    noise, second_chance = noise_cells(draws)
    found = nested_gradients(
        (estimator, estimator),
        hard_keys(samples),
        logistic_keys(noise),
        TWO_BITS.arrays(jnp.float64),
    )
    mean = np.einsum("i,j,ijk->k", first_chance, second_chance, found)
    np.testing.assert_allclose(mean, true_gradient(TWO_BITS), rtol=1e-10, atol=1e-11)


# One key for two layers


@pytest.mark.parametrize("estimator", [ScoreFunction(), MuProp()], ids=str)
def test_one_key_for_two_layers_is_biased(estimator):
    """Silently, and by far more than six standard errors: the battery's own check fails."""
    checks.check_nested((estimator, estimator), TWO_BITS, layer_keys)
    with pytest.raises(AssertionError):
        checks.check_nested((estimator, estimator), TWO_BITS, one_key)


@pytest.mark.first_cases(10)
@pytest.mark.parametrize("example", [e for e in FIRST if not e.needs_bound], ids=str)
def test_key_reuse_is_found_by_jax(example):
    """`jax.debug_key_reuse` raises for one key in two layers, and not for one key each."""
    if isinstance(example, REBAR):
        pytest.skip("its relaxed passes take the noise of further layers' hard samples on purpose")
    if reason := example.refusal(TWO_BITS.layer(0)):
        pytest.skip(reason)
    layers = [checks.prepared(example, TWO_BITS, i) for i in (0, 1)]
    parameters = TWO_BITS.arrays(jnp.float32)

    def loss(split):
        key = jax.random.key(0)
        return jax.jit(
            lambda key: TWO_BITS.loss(layers, split(TWO_BITS, key), parameters),
            compiler_options=FAST_TO_COMPILE,
        )(key)

    with jax.debug_key_reuse(True):
        loss(layer_keys)
        if example.enumerates:
            pytest.skip("enumerates, so it uses no key")
        with pytest.raises(jax.errors.KeyReuseError):
            loss(one_key)


# The continuous pass


def chain(layers, estimator, count):
    """Return a loss of `layers` layers of two bits each; `count` is called with the last sample."""
    between = jnp.asarray([[1.0, -2.0], [0.5, 1.5]])

    def loss(logits, keys):
        def descend(number, above):
            if number == layers:
                jax.debug.callback(count, above)
                return jnp.sin(above[0] + 2 * above[1]) + above[0] * above[1]
            q = Bernoulli(logits[number] + above @ between)
            return estimator(keys[number], q, lambda z: descend(number + 1, z))

        return descend(0, jnp.zeros(2))

    return loss


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(
    ("estimator", "passes_per_layer"), [(MuProp(), 1), (ScoreFunction(), 0)], ids=str
)
def test_executed_evaluations(estimator, passes_per_layer, layers):
    """L + 1 for MuProp: a mean-field pass below each layer, and once the samples; not 2 ** L."""
    points = []
    logits = jnp.asarray([[0.3, -0.5]] * layers)
    keys = jax.random.split(jax.random.key(0), layers)
    jax.jit(jax.value_and_grad(chain(layers, estimator, points.append)))(logits, keys)
    jax.effects_barrier()
    assert len(points) == 1 + passes_per_layer * layers
    at_samples = [np.isin(point, (0, 1)).all() for point in points]
    assert sum(at_samples) == 1


@pytest.mark.first_cases(1)
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("warm", [True, False], ids=["compiled before", "compiled in the pass"])
def test_continuous_pass_reaches_an_inner_jit(warm):
    """Also one that is compiled already: the pass is part of what jit compiles for."""
    q, key = Bernoulli(jnp.asarray([0.4, -1.1])), jax.random.key(0)

    def below(z1, key, logits):
        q = Bernoulli(logits + z1)
        return MuProp()(key, q, lambda z2: jnp.sin(z2 @ jnp.asarray([1.0, 2.0]) + z1[0]) ** 3)

    jitted = jax.jit(below)
    logits = jnp.asarray([0.3, -0.5])
    if warm:
        jitted(jnp.asarray([1.0, 0.0]), key, logits)

    def loss(below, logits):
        keys = jax.random.split(key)
        return MuProp()(keys[0], q, lambda z1: below(z1, keys[1], logits))

    gradients = (jax.jit(jax.value_and_grad(functools.partial(loss, f))) for f in (jitted, below))
    for ours, plain in zip(*(gradient(logits) for gradient in gradients), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-12)

    # And not beyond: outside a pass, the same function samples.
    samples = [jitted(jnp.asarray([1.0, 0.0]), jax.random.key(i), logits) for i in range(20)]
    assert len({float(sample) for sample in samples}) > 1


TWO_CHANCES = Bernoulli(jnp.asarray([0.3, -0.5]))


@pytest.mark.first_cases(8)
@pytest.mark.parametrize(
    "example", parameters([e for e in EXAMPLES if not (e.refusal(TWO_CHANCES) or e.needs_bound)])
)
def test_continuous_pass_of_every_estimator_is_f_at_the_mean(example):
    """Below MuProp: what evaluates at samples, relaxed samples or all states, at one point."""
    q = TWO_CHANCES
    example = example.initialise(jax.random.key(1), q)
    points = []
    seen = checks.recorder(points)

    def loss(q, shift):
        def f(z1):
            below = Bernoulli(2 * z1 - 1 + shift)
            return example(jax.random.key(2), below, lambda z2: jnp.sin(z1 @ seen(z2)))

        return MuProp()(jax.random.key(3), q, f)

    gradient = jax.jit(jax.value_and_grad(loss, (0, 1)), compiler_options=FAST_TO_COMPILE)
    jax.block_until_ready(gradient(q, jnp.zeros(2)))
    below = 1 / (1 + np.exp(-(2 * np.asarray(q.mean) - 1)))
    at_mean = [p for p in points if np.allclose(p, below, rtol=1e-5)]
    assert len(at_mean) == 1
    assert len(points) == 1 + example.evaluations(q)


# Black boxes


def objective(z):
    return z[0] * z[1] + z[0]


BITS = Bernoulli(jnp.asarray([0.3, -0.5]))


def over(outer, inner, f):
    keys = jax.random.split(jax.random.key(0))

    def loss(above, below):
        def layer(z1):
            return inner(keys[1], Bernoulli(z1 + below), lambda z2: f(z2) * (1 + z1[0]))

        return outer(keys[0], Bernoulli(above), layer)

    return jnp.stack(jax.jit(jax.grad(loss, (0, 1)))(BITS.logits, BITS.logits))


def wrapped(inner):
    """The black box is the whole of what the inner estimator is given."""

    class Wrapped:
        def __call__(self, key, q, f):
            return inner(key, q, black_box(f))

    return Wrapped()


DIFFERENTIATING = [
    example.initialise(jax.random.key(1), BITS)
    for example in FIRST
    if example.differentiates and Bernoulli in example.distributions
]


@pytest.mark.first_cases(3)
@pytest.mark.parametrize("inner", DIFFERENTIATING, ids=str)
def test_black_box_is_refused_below_another_layer(inner):
    with pytest.raises(TypeError, match="black box"):
        over(ScoreFunction(), wrapped(inner), objective)
    # Also when a part of f, and not all of it, is the box.
    with pytest.raises(TypeError, match="black box"):
        over(ScoreFunction(), inner, black_box(objective))


def test_black_box_is_refused_by_the_mean_field_pass_above_it():
    with pytest.raises(TypeError, match="black box"):
        over(MuProp(), wrapped(ScoreFunction()), objective)


def test_black_box_of_the_sample_above_is_refused():
    """The layer above needs its derivative, through the layer between."""
    keys = jax.random.split(jax.random.key(0))

    def loss(outer, logits):
        def layer(z1):
            hidden = black_box(objective)
            return ScoreFunction()(keys[1], BITS, lambda z2: hidden(z1) * z2[0])

        return outer(keys[0], Bernoulli(logits), layer)

    for outer in (*DIFFERENTIATING, MuProp()):
        with pytest.raises(TypeError, match="black box"):
            jax.eval_shape(jax.grad(loss, 1), outer, BITS.logits)
    assert np.isfinite(jax.jit(jax.grad(loss, 1))(ScoreFunction(), BITS.logits)).all()


def test_black_box_in_a_scan_that_was_differentiated():
    """In something else first, where it is none of the derivative's business."""
    hidden = black_box(lambda z: z.sum() ** 2)

    def f(weight, z):
        def step(total, number):
            return total + weight**2 * hidden(z + number), None

        return jax.lax.scan(step, jnp.zeros(()), jnp.arange(2.0))[0]

    point = jnp.ones(()), jnp.ones(2)
    assert jax.grad(f)(*point) == 2 * (2**2 + 4**2)
    with pytest.raises(TypeError, match="black box"):
        jax.jacrev(jax.grad(f), 1)(*point)


@pytest.mark.parametrize("outer", [ScoreFunction(LeaveOneOut(2)), GumbelSoftmax(0.5)], ids=str)
def test_black_box_is_accepted_below_where_it_is_not_differentiated(outer):
    """The derivative with respect to the layer above goes through the lower logits, not the box."""
    for inner in (ScoreFunction(), Exact()):
        boxed = over(outer, wrapped(inner), objective)
        np.testing.assert_array_equal(boxed, over(outer, inner, objective))
