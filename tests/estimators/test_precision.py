"""An f of another precision than the distribution: values are cast to the wider before use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from estimators import ARMS, Bernoulli, Categorical, ImportanceBound, LeaveOneOut, ScoreFunction
from tests.estimators.helpers import checks
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE
from tests.estimators.helpers.examples import is_first
from tests.estimators.test_battery import cases, on_first_distribution

ON_FIRST = list(cases(lambda case: not (is_first(case.estimator) and on_first_distribution(case))))
EVERY = list(cases(lambda case: True))
KEY = jax.random.key(5)
LARGE = {jnp.bfloat16: 256.0, jnp.float16: 4e4}
"""Where the sum of two rounds away what differs, or overflows."""


def of_type(case, dtype, cast):
    """The estimate of an f that computes in a type, and may be cast by hand behind it."""
    problem, estimator = case.problem, checks.prepared(case.estimator, case.problem)
    offset = LARGE.get(dtype, 0.0)

    def loss(parameters, estimator):
        def f(z):
            found = 2 * jnp.tanh(problem.objective(parameters, z)) + offset
            return found.astype(dtype).astype(cast or dtype)

        q = problem.distributions[0](parameters, None)
        return estimator(KEY, q, ImportanceBound(f) if estimator.needs_bound else f)

    gradient = jax.jit(jax.value_and_grad(loss, (0, 1)), compiler_options=FAST_TO_COMPILE)
    estimator = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), estimator)
    return gradient, (problem.arrays(jnp.float32), estimator)


@pytest.mark.parametrize("dtype", LARGE, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("case", EVERY)
def test_half_precision(case, dtype):
    """The same as of values cast by hand, and in float32."""
    (gradient, point), (by_hand, _) = (of_type(case, dtype, cast) for cast in (None, jnp.float32))
    found, wanted = gradient(*point), by_hand(*point)
    assert found[0].dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@pytest.mark.first_cases(90)
@pytest.mark.parametrize("case", ON_FIRST)
def test_types(case):
    """The loss has the wider type, and every gradient that of what it is a gradient of."""
    with jax.enable_x64(True):
        for dtype in (jnp.float64, jnp.float16):
            gradient, point = of_type(case, dtype, None)
            value, slopes = jax.eval_shape(gradient, *point)
            assert value.dtype == jnp.promote_types(dtype, jnp.float32)
            assert {leaf.dtype for leaf in jax.tree.leaves(slopes)} == {jnp.dtype("float32")}


AS_WRITTEN = {"xla_allow_excess_precision": False}
"""Else the compiler may keep a mean in float32, which hides that it is rounded."""


@pytest.mark.parametrize(("dtype", "offset"), [(jnp.bfloat16, 256), (jnp.float16, 2048)])
def test_leave_one_out_is_unbiased(dtype, offset):
    """A mean that is rounded to f's type gave 0.56 for 0.375."""

    def loss(logits, key):
        def f(b):
            return (offset + 2 * b[0]).astype(dtype)

        return ScoreFunction(LeaveOneOut(2))(key, Bernoulli(logits), f)

    logits = jnp.log(jnp.array([1 / 3]))
    keys = jax.random.split(KEY, 100_000)
    gradient = jax.vmap(jax.grad(loss), (None, 0))
    found = jax.jit(gradient, compiler_options=AS_WRITTEN)(logits, keys)
    error = found.std() / np.sqrt(len(keys))
    assert abs(found.mean() - 2 * 0.25 * 0.75) < 5 * error < 0.02


def test_arms_with_and_without_the_value():
    """Whatever the compiler keeps in float32: it did where the value was not asked for."""

    def loss(logits, key):
        return ARMS(4)(key, Bernoulli(logits), lambda b: (256 + 2 * b.sum()).astype(jnp.bfloat16))

    logits, keys = jnp.array([0.3, -1.0]), jax.random.split(KEY, 1000)
    alone = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(logits, keys)
    both = jax.vmap(jax.value_and_grad(loss), (None, 0))
    for options in {}, AS_WRITTEN:
        _, beside = jax.jit(both, compiler_options=options)(logits, keys)
        np.testing.assert_allclose(alone, beside, rtol=1e-6, atol=1e-6)


def test_a_number_has_the_types_of_the_sample():
    """What f writes out has no type of its own."""
    with jax.enable_x64(True):
        q = Categorical(jnp.zeros((1, 3), jnp.float32))
        found = jax.eval_shape(lambda key: ScoreFunction()(key, q, lambda z: 1.0), KEY)
        assert found.dtype == jnp.float32


def products(jaxpr):
    """The precision of every matrix product in a program."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation.params["precision"]
        for inner in jaxprs_in_params(equation.params):
            yield from products(inner)


# The layers of a chain are the user's, and so is the precision of their products.
@pytest.mark.first_cases(90)
@pytest.mark.parametrize("case", [case for case in ON_FIRST if "Chain" not in case.id])
def test_products_have_full_precision(case):
    """But for those of f: on an accelerator the default keeps 7 or 10 bits."""
    problem, estimator = case.problem, checks.prepared(case.estimator, case.problem)

    def loss(parameters, estimator, product):
        def f(z):
            leaf = jnp.ravel(jax.tree.leaves(z)[0])
            return product(leaf, jnp.sin(leaf))

        q = problem.distributions[0](parameters, None)
        return estimator(KEY, q, ImportanceBound(f) if estimator.needs_bound else f)

    def found(product):
        gradient = jax.value_and_grad(loss, (0, 1))
        point = problem.arrays(jnp.float32), estimator
        return set(products(jax.make_jaxpr(lambda *at: gradient(*at, product))(*point).jaxpr))

    highest = (jax.lax.Precision.HIGHEST,) * 2
    assert found(lambda one, other: (one * other).sum()) <= {highest}
    assert found(jnp.dot) - {highest} == {None}
