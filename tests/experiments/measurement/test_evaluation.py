"""The bounds of discrete models, against enumeration."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.measurement.evaluation import Evaluator
from experiments.problems import VAE, StructuredPrediction
from experiments.statistics import sample_mean
from tests.experiments.problems.test_stochastic_networks import TINY, bound, paths, point

KEY = jax.random.key(3)


def per_example(problem, num_samples, repeats, devices=1):
    """Return estimates of one example, with keys of their own."""
    params, batch = point(problem)
    examples = jnp.repeat(batch[:1], repeats, axis=0)
    return Evaluator(problem, num_samples, jax.devices()[:devices])(params, KEY, examples)


def truths(problem, num_samples):
    """Return the exact negative ELBO and the negative bound of the first image."""
    params, batch = point(problem)
    log_q, weights = paths(problem, params, batch[0])
    chance, combined = np.exp(log_q), weights
    for _ in range(num_samples - 1):
        chance = np.multiply.outer(chance, np.exp(log_q))
        combined = np.logaddexp.outer(combined, weights)
    return -np.exp(log_q) @ weights, -np.sum(chance * (combined - np.log(num_samples)))


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("problem", [VAE(depth=2, **TINY), StructuredPrediction(**TINY)], ids=str)
@pytest.mark.parametrize("num_samples", [2, 1])
def test_bounds_are_those_of_the_discrete_model(problem, num_samples):
    found = per_example(problem, num_samples, 2**15)
    elbo, importance = truths(problem, num_samples)
    for name, truth in (("negative_elbo", elbo), ("negative_bound", importance)):
        estimate = found[name]
        error = (estimate.high - estimate.low) / 2 / 1.96
        assert abs(estimate.value - truth) < 4 * error, name
        assert error < 0.1


@pytest.mark.slow
def test_the_bound_tends_to_the_likelihood():
    problem = VAE(depth=2, **TINY)
    params, batch = point(problem)
    log_q, weights = paths(problem, params, batch[0])
    likelihood = np.logaddexp.reduce(log_q + weights)
    found = per_example(problem, 5000, 16)["negative_bound"]
    half = (found.high - found.low) / 2
    assert abs(found.value + likelihood) < 4 * half / 1.96 + 1e-3
    assert found.value < per_example(problem, 1, 512)["negative_bound"].low


def test_devices_and_padding_change_nothing():
    problem = VAE(**TINY)
    params, _ = point(problem)
    examples = problem.examples(KEY, problem.data("test")[:301])
    one = Evaluator(problem, 7, jax.devices()[:1])(params, KEY, examples)
    four = Evaluator(problem, 7, jax.devices()[:4])(params, KEY, examples)
    for name in ("negative_elbo", "negative_bound"):
        np.testing.assert_allclose(one[name].value, four[name].value, rtol=1e-6)


@pytest.mark.slow
def test_chunks_cover_all_samples():
    # A prime number of samples, beyond one chunk.
    problem = VAE(**TINY)
    params, batch = point(problem)
    found = per_example(problem, 53, 1024)
    log_weights = functools.partial(problem.log_weight, params)
    drawn = jax.jit(jax.vmap(lambda key: log_weights(key, batch[0])))(jax.random.split(KEY, 53000))
    expected = -np.logaddexp.reduce(np.asarray(drawn, np.float64).reshape(1000, 53), axis=1)
    expected += np.log(53)
    error = np.hypot(found["negative_bound"].high - found["negative_bound"].value, 0) / 1.96
    gap = abs(found["negative_bound"].value - expected.mean())
    assert gap < 4 * np.hypot(error, expected.std() / np.sqrt(1000))


def test_memory_grows_with_neither_samples_nor_images():
    """The published size: what the program needs beside the images themselves."""
    evaluator = Evaluator(VAE(size=200), 5000, jax.devices()[:2])
    shapes = jax.eval_shape(evaluator.problem.initial, KEY)
    images = jax.ShapeDtypeStruct((256, 784), jnp.float32)
    index = jax.ShapeDtypeStruct((256,), jnp.uint32)
    compiled = evaluator._compiled.lower(shapes, KEY, images, index).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 2**27


def test_interval_of_a_mean():
    values = np.array([1.0, 2.0, 4.0, 5.0])
    found = sample_mean(values)
    assert found.value == 3.0
    # Student's quantile of three degrees of freedom, 3.182.
    half = 3.1824463 * np.std(values, ddof=1) / 2
    np.testing.assert_allclose([found.low, found.high], [3 - half, 3 + half], rtol=1e-5)
    assert np.isnan(sample_mean(values[:1]).low)


def test_bound_by_enumeration_agrees_with_itself():
    """The two ways in which these tests enumerate."""
    problem = VAE(depth=2, **TINY)
    params, batch = point(problem)
    parts = [-np.exp(log_q) @ w for log_q, w in (paths(problem, params, x) for x in batch)]
    np.testing.assert_allclose(np.mean(parts), bound(problem, 1), rtol=1e-12)
