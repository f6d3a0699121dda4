"""The contract of every estimator, as functions that raise AssertionError.

`test_battery.py` calls them on every class that the library lists, `test_mutants.py` on wrong ones.
What a check expects it reads from the facts on the estimator's class, never from its name.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import Bernoulli, Categorical, ImportanceBound, Poisson
from estimators.core.distribution import Enumerable
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE, logistic_panels
from tests.estimators.helpers.problems import ONE_BIT
from tests.estimators.helpers.sampling import (
    COUNT,
    batch_keys,
    gradient_alone,
    gradient_batch,
    gradient_samples,
    layer_keys,
    traces,
    z_scores,
)
from tests.estimators.helpers.scripted import logistic_keys, two_class_keys
from tests.estimators.helpers.truth import true_gradient


@functools.cache
def prepared(estimator, problem, layer=0):
    """Return the estimator with its networks, which are given something to say."""
    estimator = estimator.initialise(jax.random.key(7), problem.layer(layer))
    return jax.tree.map(lambda leaf: _stirred(leaf) if leaf.ndim else leaf, estimator)


@jax.jit
def _stirred(leaf):
    return leaf + 0.3 * jax.random.normal(jax.random.key(8), leaf.shape)


def has_temperature(estimator):
    return "temperature" in estimator.hyperparameters()


def evaluates_at_samples(estimator, distribution):
    """Return whether the estimate is f at hard samples, by an f that is zero at corners only."""

    def off_corners(z):
        return jnp.where(jnp.all(z == jnp.round(z)), 0.0, 1.0).astype(z.dtype)

    f = ImportanceBound(off_corners) if estimator.needs_bound else off_corners
    keys = jax.random.split(jax.random.key(2), 3)
    values = jax.vmap(lambda key: estimator(key, distribution, f))
    return not jax.jit(values, compiler_options=FAST_TO_COMPILE)(keys).any()


def check_mean(estimator, problem, count=COUNT):
    """The mean gradient is the truth, proportional to it, or visibly neither: as the class says."""
    estimator = prepared(estimator, problem)
    if estimator.unbiased == "up to scale":
        # Only the part through sampling is scaled; f's ordinary derivative is not. That part is
        # small beside its noise, so more samples show it.
        problem, count = problem.sampling_only, 4 * count
    truth = true_gradient(problem)[1:]
    samples = gradient_samples(problem, (estimator,), count)[:, 1:]
    scores = z_scores(samples, truth)
    if estimator.unbiased == "yes":
        assert scores.max() < 4, scores
    elif estimator.unbiased == "no":
        if scores.max() <= 6:  # exact for cubics, which f nearly is
            steeper = gradient_samples(problem.steeper, (estimator,), count)[:, 1:]
            scores = z_scores(steeper, true_gradient(problem.steeper)[1:])
        assert scores.max() > 6, scores
    else:
        # Sample by sample, so that the errors below are those of the fitted scale too.
        scales = samples @ truth / (truth @ truth)
        assert scales.mean() > 4 * scales.std() / np.sqrt(len(scales))
        scores = z_scores(samples - scales[:, None] * truth, 0)
        assert scores.max() < 4, scores


def check_one_bit(estimator):
    """The mean gradient of one bit is p (1 - p) (f(1) - f(0))."""
    estimator = prepared(estimator, ONE_BIT)
    chance = 1 / (1 + np.exp(-ONE_BIT.parameters["logits"][0]))
    truth = chance * (1 - chance) * (1.5**3 - 0.5**3)
    assert z_scores(gradient_samples(ONE_BIT, (estimator,))[:, 1], truth) < 4


def check_value(estimator, problem):
    """The estimate itself is unbiased, unless f was relaxed."""
    estimator = prepared(estimator, problem)
    distribution = problem.layer(0)
    if isinstance(distribution, Enumerable) and not evaluates_at_samples(estimator, distribution):
        assert estimator.relaxes or has_temperature(estimator), "f off its corners"
        pytest.skip("evaluates f at relaxed samples, so its value is biased by design")
    samples = gradient_samples(problem, (estimator,), COUNT)[:, 0]
    scores = z_scores(samples, true_gradient(problem)[0])
    assert scores < 4 or not estimator.exact_law, scores


def one_bit_bias(estimator, distribution_type):
    """Return how far value and gradient are from the truth on one bit, by quadrature."""
    logit = jnp.asarray(0.8)
    chance = jax.nn.sigmoid(logit)
    nodes, weights = logistic_panels(-0.8, float(estimator.temperature))

    def estimate(logit, key):
        if distribution_type is Bernoulli:
            distribution = Bernoulli(logit[None])
        else:
            distribution = Categorical(jnp.stack([logit, jnp.zeros_like(logit)])[None])
        return estimator(key, distribution, lambda z: (z.ravel()[0] + 0.5) ** 3)

    keys = (logistic_keys if distribution_type is Bernoulli else two_class_keys)(nodes[:, None])
    if distribution_type is Bernoulli:
        keys = logistic_keys(nodes[:, None, None])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(estimate), (None, 0)))(logit, keys)
    value = weights @ values - (chance * 1.5**3 + (1 - chance) * 0.5**3)
    slope = weights @ slopes - chance * (1 - chance) * (1.5**3 - 0.5**3)
    return float(value), float(slope)


def check_relaxation(estimator, distribution_type):
    """Where f is evaluated at relaxed samples, the bias vanishes as the temperature falls."""
    with jax.enable_x64(True):
        cold = [dataclasses.replace(estimator, temperature=t) for t in (1.0, 0.1, 0.01)]
        bias = np.abs([one_bit_bias(member, distribution_type) for member in cold])
    assert np.all(bias[0] > 1e-2), "no bias to begin with"
    # The bias is of first order: f is averaged over a layer as wide as the temperature.
    assert np.all(bias[1:] < bias[:-1] / 5), bias
    assert np.all(bias[-1] < bias[0] / 50), bias


def check_transforms(estimator, problem):
    """Under scan and vmap the same as for one key; and repeatable."""
    estimator = prepared(estimator, problem)
    batch = gradient_batch(problem, (estimator,))
    parameters = problem.arrays(jnp.float32)
    alone = gradient_alone(problem, (estimator,), (batch_keys()[0],), parameters)
    np.testing.assert_allclose(batch[0], alone, rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(gradient_batch(problem, (estimator,)), batch)


def check_without_jit(estimator, problem):
    """Run as Python, one operation after the other, it gives what it gives compiled."""
    estimator = prepared(estimator, problem)
    arguments = (estimator,), (batch_keys()[0],), problem.arrays(jnp.float32)
    compiled = gradient_alone(problem, *arguments)
    np.testing.assert_allclose(problem.gradient(*arguments), compiled, rtol=2e-5, atol=2e-5)


def check_compiles_once(estimator, problem):
    """Other keys, parameters and hyperparameters run what is compiled already."""
    estimator = prepared(estimator, problem)
    gradient_batch(problem, (estimator,))
    before = traces[problem]
    changed = jax.tree.map(lambda leaf: 0.5 * leaf, estimator)
    parameters = jax.tree.map(lambda x: 0.5 * x, problem.arrays(jnp.float32))
    gradient_batch(problem, (changed,), parameters, seed=2)
    if has_temperature(estimator):  # what a user writes: Python numbers
        for temperature in (0.7, 1):
            gradient_batch(problem, (dataclasses.replace(estimator, temperature=temperature),))
    assert traces[problem] == before


def check_finite(estimator, problem):
    """Values and gradients are finite at ordinary and at extreme parameters and temperatures."""
    estimator = prepared(estimator, problem)
    members = [estimator]
    if has_temperature(estimator):
        members += [dataclasses.replace(estimator, temperature=t) for t in (1e-3, 1e3)]
    for member in members:
        for changes in ({}, *problem.extremes):
            parameters = problem.arrays(jnp.float32, **changes)
            samples = gradient_batch(problem, (member,), parameters)
            assert np.isfinite(samples).all(), (str(member), changes)


def check_dtypes(estimator, problem):
    """Value and gradient have the parameters' type, where both types are available."""
    estimator = prepared(estimator, problem)
    keys = (jax.random.key(0),)
    loss = jax.value_and_grad(lambda p: problem.loss((estimator,), keys, p))
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(True):
            parameters = problem.arrays(dtype)
            value, gradient = jax.eval_shape(loss, parameters)
            assert value.shape == () and value.dtype == dtype
            assert jax.tree.map(lambda g: (g.shape, g.dtype), gradient) == jax.tree.map(
                lambda p: (p.shape, p.dtype), parameters
            )


def check_evaluations(estimator, problem):
    """One gradient evaluates f as often as declared; off the corners only to differentiate it."""
    estimator = prepared(estimator, problem)
    distribution = problem.layer(0)
    parameters = problem.arrays(jnp.float32)
    points = []
    seen = recorder(points)

    @functools.partial(jax.jit, compiler_options=FAST_TO_COMPILE)
    def gradient(distribution):
        f = problem.f(parameters, wrap=lambda f: lambda z: f(seen(z)))
        return jax.value_and_grad(lambda q: estimator(jax.random.key(1), q, f))(distribution)

    jax.block_until_ready(gradient(distribution))
    assert len(points) == estimator.evaluations(distribution)
    if isinstance(distribution, Poisson):
        assert (np.array(points) >= 0).all() and (np.array(points) % 1 == 0).all()
    elif isinstance(distribution, Enumerable) and not estimator.differentiates:
        assert np.isin(np.array(points), (0, 1)).all()


def recorder(points):
    """Return an identity that keeps what runs through it, where the compiler has left it in."""

    def keep(batch):
        points.extend(np.reshape(batch, (-1, *event)))
        return batch

    event = ()

    @jax.custom_jvp
    def seen(z):
        nonlocal event
        event = z.shape
        shape = jax.ShapeDtypeStruct(z.shape, z.dtype)
        return jax.pure_callback(keep, shape, z, vmap_method="expand_dims")

    seen.defjvp(lambda primals, tangents: (seen(*primals), *tangents))
    return seen


def check_black_box(estimator, problem):
    """A black box is refused where f is differentiated, and changes nothing elsewhere."""
    estimator = prepared(estimator, problem)
    parameters = problem.arrays(jnp.float32)

    def gradient(wrap):
        f = problem.f(parameters, wrap=wrap)
        slope = jax.grad(lambda q: estimator(jax.random.key(1), q, f))
        return jax.jit(slope, compiler_options=FAST_TO_COMPILE)(problem.layer(0))

    try:
        boxed = gradient(estimators.black_box)
    except TypeError as error:
        assert "black box" in str(error) and estimator.differentiates, error
    else:
        assert not estimator.differentiates, "differentiates a black box"
        jax.tree.map(np.testing.assert_array_equal, boxed, gradient(lambda f: f))


def check_sweep(estimator, problem):
    """A stack of estimators, mapped over, gives what its members give one by one."""
    estimator = prepared(estimator, problem)
    members = [estimator, jax.tree.map(lambda leaf: 0.5 * leaf, estimator)]
    parameters = problem.arrays(jnp.float32)

    keys = (jax.random.key(1),)

    def gradient(member):
        return gradient_alone(problem, (member,), keys, parameters)

    swept = jax.jit(jax.vmap(gradient))(estimators.stack(members))
    alone = [gradient(member) for member in estimators.unstack(estimators.stack(members))]
    np.testing.assert_allclose(swept, alone, rtol=2e-5, atol=2e-5)
    for member, back in zip(members, estimators.unstack(estimators.stack(members)), strict=True):
        jax.tree.map(np.testing.assert_array_equal, member, back)


def check_name(estimator):
    """`parse` is the inverse of `str`, and a stack has no name."""
    name = str(estimator)
    back = estimators.parse(name, type(estimator))
    assert str(back) == name
    assert jax.tree.structure(back) == jax.tree.structure(estimator)
    jax.tree.map(np.testing.assert_array_equal, back, estimator)


def check_nested(operators, problem, split=layer_keys, count=COUNT):
    """Two layers are two calls: finite under every transformation, and unbiased if both are."""
    layers = [prepared(operator, problem, i) for i, operator in enumerate(operators)]
    samples = gradient_samples(problem, tuple(layers), count, split)
    assert np.isfinite(samples).all()
    if all(operator.unbiased == "yes" for operator in operators):
        scores = z_scores(samples, true_gradient(problem))
        assert scores.max() < 4, scores
