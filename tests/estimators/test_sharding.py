"""Several devices: under every way that JAX has of using them, the gradient of one device."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from estimators import (
    CARMS,
    DARN,
    VIMCO,
    Bernoulli,
    DoubleCV,
    MovingAverage,
    MuProp,
    ScoreFunction,
    SumAndSample,
    UnorderedSet,
    attach_gradient,
    attach_tuning,
)
from tests.estimators.helpers import checks
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE
from tests.estimators.helpers.examples import is_first
from tests.estimators.helpers.problems import BERNOULLI, BOUNDS, CATEGORICAL
from tests.estimators.test_battery import CASES, Case, cases, on_first_distribution

DEVICES = 4
KEYS = jax.random.split(jax.random.key(3), 2 * DEVICES)


def mean_loss(problem, arguments, keys):
    """The mean over keys, as a function of what the model, f and the estimator learn."""
    parameters, estimator = arguments
    return jax.vmap(lambda key: problem.loss((estimator,), (key,), parameters))(keys).mean()


def mesh(kind=AxisType.Auto):
    return jax.make_mesh((DEVICES,), ("x",), (kind,))


def outside(problem, check):
    """The gradient of a function that is sharded."""

    def loss(arguments, keys):
        return jax.lax.pmean(mean_loss(problem, arguments, keys), "x")

    return jax.grad(
        jax.shard_map(loss, mesh=mesh(), in_specs=(P(), P("x")), out_specs=P(), check_vma=check)
    )


def inside(problem, check):
    """A sharded function that takes the gradient; JAX sums it where it keeps track of devices."""

    def gradient(arguments, keys):
        found = jax.grad(functools.partial(mean_loss, problem))(arguments, keys)
        if check:
            return jax.tree.map(lambda leaf: leaf / DEVICES, found)
        return jax.lax.pmean(found, "x")

    return jax.shard_map(
        gradient, mesh=mesh(), in_specs=(P(), P("x")), out_specs=P(), check_vma=check
    )


WAYS = {
    "outside": functools.partial(outside, check=True),
    "outside, unchecked": functools.partial(outside, check=False),
    "inside": functools.partial(inside, check=True),
    "inside, unchecked": functools.partial(inside, check=False),
}


def on_mesh(problem, kind):
    """The gradient of an ordinary jitted function whose keys lie on several devices."""
    gradient = jax.jit(
        jax.grad(functools.partial(mean_loss, problem)), compiler_options=FAST_TO_COMPILE
    )

    def placed(arguments, keys):
        here = mesh(kind)
        with jax.set_mesh(here):
            keys = jax.device_put(keys, NamedSharding(here, P("x")))
            return gradient(jax.device_put(arguments, NamedSharding(here, P())), keys)

    return placed


def check(case, ways):
    estimator, problem = checks.prepared(case.estimator, case.problem), case.problem
    arguments = problem.arrays(jnp.float32), estimator

    @functools.partial(jax.jit, compiler_options=FAST_TO_COMPILE)
    def both(arguments, keys):
        one = jax.grad(functools.partial(mean_loss, problem))(arguments, keys)
        return one, [WAYS[way](problem)(arguments, keys) for way in ways]

    wanted, found = both(arguments, KEYS)
    for way, gradient in zip(ways, found, strict=True):
        assert_same(gradient, wanted, way)
    return arguments, wanted


def assert_same(found, wanted, way):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    for (path, one), other in zip(
        jax.tree.leaves_with_path(wanted), jax.tree.leaves(found), strict=True
    ):
        name = f"{way}: {jax.tree_util.keystr(path)}"
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5 * scale, err_msg=name)


def gathers(estimator):
    """Return whether it indexes arrays, which JAX cannot shard by itself on an explicit mesh."""
    return isinstance(estimator, (UnorderedSet, SumAndSample, CARMS))


FEW = [
    Case(ScoreFunction(MovingAverage(0.9)), BERNOULLI),
    Case(UnorderedSet(2), CATEGORICAL),
    Case(VIMCO(), BOUNDS[Bernoulli]),
]


@pytest.mark.parametrize("case", FEW, ids=str)
def test_shard_map(case):
    check(case, ["outside", "inside"])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_way(case):
    """Also in f's own parameters, and in the estimator's leaves."""
    arguments, wanted = check(case, WAYS)
    assert_same(on_mesh(case.problem, AxisType.Auto)(arguments, KEYS), wanted, "named shardings")
    explicit = on_mesh(case.problem, AxisType.Explicit)
    if gathers(case.estimator):
        with pytest.raises(Exception) as raised:  # JAX keeps its type to itself
            explicit(arguments, KEYS)
        assert type(raised.value).__name__ == "ShardingTypeError"
    else:
        assert_same(explicit(arguments, KEYS), wanted, "explicit mesh")


def sums_over_devices(case):
    """Return the sums over devices in one sharded estimate that is differentiated by nobody."""
    estimator = checks.prepared(case.estimator, case.problem)

    def loss(arguments, keys):
        return mean_loss(case.problem, arguments, keys)[None]

    sharded = jax.shard_map(loss, mesh=mesh(), in_specs=(P(), P("x")), out_specs=P("x"))
    traced = jax.make_jaxpr(sharded)((case.problem.arrays(jnp.float32), estimator), KEYS)
    return str(traced).count("psum")


ON_FIRST = list(cases(lambda case: not (is_first(case.estimator) and on_first_distribution(case))))


@pytest.mark.first_cases(90)
@pytest.mark.parametrize("case", ON_FIRST)
def test_own_derivatives_are_one_devices(case):
    """What an estimator attaches is not summed over devices as it is made."""
    assert sums_over_devices(case) == 0


# Two axes of devices, of which keys vary over one


def two_axes():
    return jax.make_mesh((2, 2), ("data", "model"), (AxisType.Auto,) * 2)


LOGITS, WEIGHTS = jnp.array([0.3, -1.0]), jnp.arange(1.0, 5.0).reshape(2, 2)
SEVERAL = ScoreFunction(), MuProp(), DARN("half"), DoubleCV(2)


def on_two_axes(estimator, f):
    def loss(logits, weights, keys):
        def one(key):
            return estimator(key, Bernoulli(logits), lambda z: f(z @ weights[0]))

        return jax.vmap(one)(keys).mean()

    return loss


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("estimator", SEVERAL, ids=str)
def test_f_that_varies_over_an_axis_that_keys_do_not(estimator):
    """The parts of a mixture on devices of their own, with one key: their gradients add up."""
    loss = on_two_axes(estimator, lambda x: x**2)

    def sharded(logits, weights, keys):
        return jax.lax.psum(jax.lax.pmean(loss(logits, weights, keys), "data"), "model")

    def plain(logits, weights, keys):
        return sum(loss(logits, row[None], keys) for row in weights)

    specs = P(), P("model"), P("data")
    sharded = jax.shard_map(sharded, mesh=two_axes(), in_specs=specs, out_specs=P())
    found, wanted = (
        jax.jit(jax.grad(g, (0, 1)), compiler_options=FAST_TO_COMPILE)(LOGITS, WEIGHTS, KEYS)
        for g in (sharded, plain)
    )
    assert_same(found, wanted, "two axes")


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("estimator", SEVERAL, ids=str)
def test_f_that_is_summed_over_an_axis(estimator):
    """A network whose weights are spread over devices."""
    spread = on_two_axes(estimator, lambda x: jax.lax.psum(x, "model") ** 2)
    whole = on_two_axes(estimator, lambda x: x**2)

    def sharded(logits, weights, keys):
        return jax.lax.pmean(spread(logits, weights, keys), "data")

    def plain(logits, weights, keys):
        return whole(logits, weights.sum(0, keepdims=True), keys)

    specs = P(), P("model"), P("data")
    sharded = jax.shard_map(sharded, mesh=two_axes(), in_specs=specs, out_specs=P())
    found, wanted = (
        jax.jit(jax.grad(g, (0, 1)), compiler_options=FAST_TO_COMPILE)(LOGITS, WEIGHTS, KEYS)
        for g in (sharded, plain)
    )
    assert_same(found, wanted, "spread weights")


@pytest.mark.parametrize("around", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_traces_of_nested_layers(around):
    """One for each layer's axes, and f's own; not twice as many with every layer."""
    layers, traced = 5, []

    def layer(number, above, logits, key):
        def f(z):
            if number == layers:
                traced.append(z)
                return z.sum() ** 2
            return around(functools.partial(layer, number + 1))(z, logits, key)

        key = jax.random.fold_in(key, number)
        return ScoreFunction()(key, Bernoulli(logits + above), f)

    def loss(logits, keys):
        return jax.lax.pmean(layer(1, jnp.zeros(2), logits, keys[0]), "data")

    sharded = jax.shard_map(loss, mesh=two_axes(), in_specs=(P(), P("data")), out_specs=P())
    jax.eval_shape(jax.grad(sharded), LOGITS, KEYS[:2])
    assert len(traced) == 1 + layers


# The parts that are public


def test_score_of_a_distribution_is_one_devices():
    samples = jnp.tile(jnp.array([[0.0], [1.0]]), (2, 2))
    sharded = jax.shard_map(
        lambda logits, z: Bernoulli(logits).score(z[0]).logits[None],
        mesh=mesh(),
        in_specs=(P(), P("x")),
        out_specs=P("x"),
    )
    found = jax.jit(sharded)(LOGITS, samples)
    np.testing.assert_allclose(found, samples - jax.nn.sigmoid(LOGITS)[None], rtol=1e-6)


def test_attached_gradients_that_vary_are_summed_once():
    """By a caller whose value and point do not vary."""
    gradients = jnp.arange(8.0).reshape(4, 2)

    def loss(at, gradient):
        value = attach_gradient(jnp.zeros(()), at, gradient[0])
        return jax.lax.psum(attach_tuning(value, at, 10 * gradient[0]), "x")

    sharded = jax.shard_map(loss, mesh=mesh(), in_specs=(P(), P("x")), out_specs=P())
    found = jax.jit(jax.grad(sharded))(jnp.zeros(2), gradients)
    np.testing.assert_array_equal(found, 11 * gradients.sum(0))
