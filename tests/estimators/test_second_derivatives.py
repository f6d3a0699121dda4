"""Second derivatives: right where they are taken, and refused where an estimator has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    DARN,
    NVIL,
    RODEO,
    Average,
    Bernoulli,
    DisARM,
    DoubleCV,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    MuProp,
    Pathwise,
    ScoreFunction,
    attach_gradient,
)
from tests.estimators.helpers import checks
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE
from tests.estimators.helpers.examples import EXAMPLES, FIRST, is_first
from tests.estimators.helpers.problems import BERNOULLI, MORE_NESTED
from tests.estimators.test_battery import CASES, cases, on_first_distribution

KEY = jax.random.key(4)
TWICE = {
    "forward over reverse": lambda f: jax.jacfwd(jax.jacrev(f)),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(f)),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(f)),
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f)),
}
SMOOTH = Exact, Pathwise, GumbelSoftmax
"""Estimates that are smooth functions of the logits."""

ON_FIRST = list(cases(lambda case: not (is_first(case.estimator) and on_first_distribution(case))))


def loss(case, dtype=jnp.float32):
    """The estimate, as a function of the distribution's parameters and of f's own."""
    estimator = checks.prepared(case.estimator, case.problem)
    parameters = case.problem.arrays(dtype)

    def of(own, weights):
        changed = parameters | own | {"weights": weights}
        return case.problem.loss((estimator,), (KEY,), changed)

    weights = parameters.pop("weights")
    return of, parameters, weights


def assert_product_with_hessian(of, point):
    """Its product with a vector, as second-order optimisers take it, is that by differences."""
    direction = jax.tree.map(
        lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), point
    )
    slope, step = jax.jit(jax.grad(of)), 1e-5
    ahead, behind = (
        slope(jax.tree.map(lambda x, d, by=by: x + by * d, point, direction))
        for by in (step, -step)
    )
    wanted = jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, behind)
    found = jax.jit(lambda point: jax.jvp(slope, (point,), (direction,))[1])(point)
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5),
        found,
        wanted,
    )
    assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(found))


def innermost(estimator):
    return innermost(estimator.estimator) if isinstance(estimator, Average) else estimator


@pytest.mark.first_cases(90)
@pytest.mark.parametrize("case", ON_FIRST)
def test_no_second_derivative_in_the_logits_is_silently_zero(case):
    """It is ordinary autodiff's, or a TypeError that names the estimator."""
    of, own, weights = loss(case)
    try:
        jax.eval_shape(jax.hessian(of), own, weights)
    except TypeError as error:
        name = type(innermost(case.estimator)).__name__
        assert str(error).startswith(f"{name} estimates first derivatives only")
        assert not isinstance(case.estimator, SMOOTH)
    else:
        assert isinstance(case.estimator, SMOOTH) or case.estimator.unbiased == "no"


@pytest.mark.first_cases(4)
@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.estimator, SMOOTH)], ids=str)
@pytest.mark.usefixtures("float64")
def test_second_derivatives_of_ordinary_autodiff(case):
    """Of what is smooth in the logits at a fixed key, by differences."""
    of, own, weights = loss(case, jnp.float64)
    assert_product_with_hessian(lambda own: of(own, weights), own)


@pytest.mark.first_cases(8)
@pytest.mark.parametrize("mode", TWICE)
@pytest.mark.parametrize(
    "around",
    [lambda f: f, jax.jit, lambda f: lambda x: jax.vmap(f)(x[None])[0], jax.checkpoint],
    ids=["plain", "jit", "vmap", "checkpoint"],
)
def test_every_mode_is_refused(mode, around):
    def of(logits):
        return DisARM()(KEY, Bernoulli(logits), lambda z: (z.sum() - 0.3) ** 2)

    with pytest.raises(TypeError, match="^DisARM estimates first derivatives only"):
        jax.eval_shape(TWICE[mode](around(of)), jnp.zeros(2))


def test_inside_a_scan():
    def of(logits, weights):
        def step(total, key):
            found = ScoreFunction()(key, Bernoulli(logits), lambda z: jnp.sin(z @ weights))
            return total + found, None

        return jax.lax.scan(step, jnp.zeros(()), jax.random.split(KEY, 3))[0]

    point = jnp.zeros(2), jnp.array([1.0, 2.0])
    assert np.all(jax.jit(jax.hessian(of, 1))(*point)[0] != 0)
    with pytest.raises(TypeError, match="ScoreFunction"):
        jax.hessian(of, 0)(*point)


def test_mixed_second_derivatives_are_refused():
    """The attached gradient depends on f's own parameters, and has no derivative in them either."""

    def of(logits, weights):
        return ScoreFunction()(KEY, Bernoulli(logits), lambda z: jnp.sin(z @ weights))

    point = jnp.zeros(2), jnp.ones(2)
    for first, second in (0, 1), (1, 0):
        with pytest.raises(TypeError, match="ScoreFunction"):
            jax.eval_shape(jax.jacfwd(jax.grad(of, first), second), *point)


def test_exact_has_every_derivative():
    logits = jnp.array([0.3, -0.5])

    def expectation(logits):
        p, q = jax.nn.sigmoid(logits)
        return 3 * p * q + 2 * p

    def of(logits):
        return Exact()(KEY, Bernoulli(logits), lambda z: 3 * z[0] * z[1] + 2 * z[0])

    found, wanted = (jax.jit(jax.hessian(f))(logits) for f in (of, expectation))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_attach_gradient_by_itself():
    def of(x):
        return attach_gradient(jnp.zeros(()), x, 3 * x)

    assert jax.grad(of)(jnp.ones(())) == 3
    with pytest.raises(TypeError, match="^attach_gradient estimates"):
        jax.grad(jax.grad(of))(jnp.ones(()))


# In f's own parameters


@pytest.mark.first_cases(3)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("float64")
def test_in_what_f_closes_over(case):
    of, own, weights = loss(case, jnp.float64)
    assert_product_with_hessian(lambda weights: of(own, weights), weights)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("mode", TWICE)
def test_in_what_f_closes_over_in_every_mode(mode):
    def of(weights):
        estimator = ScoreFunction(LeaveOneOut(2))
        return estimator(KEY, Bernoulli(jnp.zeros(2)), lambda z: (z.sum() + 1) * weights @ weights)

    found, value = jax.jit(TWICE[mode](of))(jnp.ones(2)), jax.jit(of)(jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(found, 2 * value * np.eye(2), rtol=1e-6)


# Several layers

NESTABLE = [example for example in FIRST if not example.needs_bound]
TWO_BITS = MORE_NESTED[0]


def two_layers(outer, inner):
    layers = [checks.prepared(operator, TWO_BITS, i) for i, operator in enumerate((outer, inner))]
    keys = tuple(jax.random.split(KEY))

    def of(parameters):
        return TWO_BITS.loss(layers, keys, parameters)

    return of, TWO_BITS.arrays(jnp.float32)


@pytest.mark.first_cases(6)
@pytest.mark.parametrize("around", [lambda f: f, jax.jit], ids=["plain", "jit"])
@pytest.mark.parametrize("outer", [*NESTABLE, DARN("half"), Average(DoubleCV(2), 2)], ids=str)
def test_estimators_differentiate_what_others_attach(outer, around):
    """f's slope, which DoubleCV takes, goes through the layer below: no second derivative."""
    if reason := outer.refusal(TWO_BITS.layer(0)):
        pytest.skip(reason)
    of, parameters = two_layers(outer, ScoreFunction())
    of = around(of)
    reverse = jax.eval_shape(jax.grad(of), parameters)
    forward = jax.eval_shape(jax.jacfwd(of), parameters)
    assert jax.tree.structure(reverse) == jax.tree.structure(forward)


SLOPES = [DoubleCV(2), RODEO(2), DARN("half"), MuProp()]


@pytest.mark.parametrize("outer", SLOPES, ids=str)
def test_the_layer_below_is_still_named(outer):
    """Also below an estimator that differentiates it itself, and below two of them."""
    inner = ScoreFunction()
    of, parameters = two_layers(outer, inner)

    def below(second):
        return of(parameters | {"second": second})

    with pytest.raises(TypeError, match="^ScoreFunction estimates"):
        jax.eval_shape(jax.hessian(below), parameters["second"])


def unrolled(step, total, keys):
    for i in range(len(keys)):
        total, _ = step(total, keys[i])
    return total, None


def scan_below(outer, loop):
    """A loop over an inner estimator below an outer one, as a function of logits and the former."""
    outer = checks.prepared(outer, BERNOULLI)

    def of(logits, inner):
        def f(z):
            def step(total, key):
                found = inner(key, Bernoulli(z + logits), lambda y: jnp.sin(y @ y + z[0]))
                return total + found, None

            return loop(step, jnp.zeros(()), jax.random.split(KEY, 3))[0]

        return outer(KEY, Bernoulli(jnp.zeros(3)), f)

    return of


def assert_scan_is_loop(outer, inner):
    found, wanted = (
        jax.jit(jax.grad(scan_below(outer, loop), (0, 1)), compiler_options=FAST_TO_COMPILE)(
            jnp.zeros(3), inner
        )
        for loop in (jax.lax.scan, unrolled)
    )
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6),
        found,
        wanted,
    )
    return wanted


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("outer", [ScoreFunction(), *SLOPES], ids=str)
def test_a_layer_inside_a_scan_below(outer):
    """What the layer attaches, also at its own leaves, is there when f was differentiated once."""
    logits, inner = assert_scan_is_loop(outer, ScoreFunction(MovingAverage(0.9, 0.2)))
    assert np.any(logits != 0) and inner.baseline.value != 0
    assert inner.baseline.count == 3


TUNED = [
    example
    for example in [*EXAMPLES, Average(ScoreFunction(NVIL()), 2)]
    if not (example.needs_bound or example.refusal(BERNOULLI.layer(0)))
    and jax.tree.leaves(checks.prepared(example, BERNOULLI))
]


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("inner", TUNED, ids=str)
def test_tuned_layers_inside_a_scan_below(inner):
    assert_scan_is_loop(DoubleCV(2), checks.prepared(inner, BERNOULLI))


@pytest.mark.first_cases(4)
@pytest.mark.parametrize("loop", [jax.lax.scan, unrolled])
@pytest.mark.parametrize("outer", SLOPES, ids=str)
def test_no_second_derivative_through_a_scan_below(outer, loop):
    of = scan_below(outer, loop)
    with pytest.raises(TypeError, match="^ScoreFunction estimates"):
        jax.eval_shape(jax.hessian(of), jnp.zeros(3), ScoreFunction())


@pytest.mark.first_cases(6)
@pytest.mark.parametrize("around", [lambda f: f, jax.jit, jax.checkpoint])
@pytest.mark.parametrize("outer", [ScoreFunction(), GumbelSoftmax(0.5), *SLOPES], ids=str)
def test_what_f_differentiates_itself(outer, around):
    """Only the slope that an estimator takes is stopped; f's own have a second derivative."""
    outer = checks.prepared(outer, BERNOULLI)

    def of(logits):
        @around
        def inner(logits):
            return ScoreFunction()(KEY, Bernoulli(logits), lambda y: (y.sum() - 0.3) ** 2)

        def f(z):
            return (jax.grad(inner)(logits) ** 2).sum() + z.sum()

        return outer(KEY, Bernoulli(jnp.zeros(3)), f)

    with pytest.raises(TypeError, match="^ScoreFunction estimates"):
        jax.eval_shape(jax.grad(of), jnp.zeros(3))


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("outer", SLOPES, ids=str)
def test_layers_differentiate_each_other_twice(outer):
    """Three layers: the first differentiates the second's slope of the third."""
    keys = jax.random.split(KEY, 3)
    outer = checks.prepared(outer, BERNOULLI)

    def of(logits, weights):
        def third(z):
            return ScoreFunction()(keys[2], Bernoulli(z + logits), lambda y: jnp.sin(y @ weights))

        def second(z):
            return outer(keys[1], Bernoulli(z - logits), third)

        return outer(keys[0], Bernoulli(logits), second)

    point = jnp.zeros(3), jnp.ones(3)
    for argument in 0, 1:
        jax.eval_shape(jax.grad(of, argument), *point)
        jax.eval_shape(jax.jacfwd(of, argument), *point)
    jax.eval_shape(jax.hessian(of, 1), *point)
    with pytest.raises(TypeError, match="estimates first derivatives only"):
        jax.eval_shape(jax.hessian(of, 0), *point)
