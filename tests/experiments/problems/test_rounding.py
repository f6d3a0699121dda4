"""Roundings of compressed images, against numpy."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from estimators import Exact, GumbelSoftmax
from experiments.problems import Rounding

PROBLEM = Rounding(images=3)
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def compressed():
    """Return latent vectors and images, float64."""
    latents = PROBLEM.initial(KEY)["latent"]
    return np.asarray(latents, float), np.asarray(PROBLEM.data(), float)


def layers(network):
    return [
        (np.asarray(one["kernel"], float), np.asarray(one["bias"], float))
        for one in network["layers"].values()
    ]


def cost(code, image):
    """Return what a code costs, in bits."""
    params = PROBLEM.compressor
    (first, shift), (second, bias) = layers(params["decoder"])
    decoded = 1 / (1 + np.exp(-(np.maximum(code @ first + shift, 0) @ second + bias)))
    mean, scale = np.asarray(params["mean"], float), np.exp(params["log_scale"].astype(float))
    chances = norm.cdf((code + 0.5 - mean) / scale) - norm.cdf((code - 0.5 - mean) / scale)
    return -np.log2(chances).sum() + PROBLEM.weight * np.sum((decoded - image) ** 2)


def probabilities(latent, temperature=0.5):
    up = latent - np.floor(latent)
    return 1 / (1 + np.exp((np.arctanh(1 - up) - np.arctanh(up)) / temperature))


STATES = np.array(list(itertools.product((0.0, 1.0), repeat=10)))


def mean(latent, costs):
    p = probabilities(latent)
    return costs @ np.where(STATES > 0, p, 1 - p).prod(-1)


def test_the_objective_is_the_sum_over_roundings(compressed):
    latents, images = compressed
    costs = [
        np.array([cost(np.floor(y) + bits, x) for bits in STATES])
        for y, x in zip(latents, images, strict=True)
    ]
    best = PROBLEM.best(jnp.asarray(latents, jnp.float32), PROBLEM.data())
    np.testing.assert_allclose(best, [each.min() for each in costs], rtol=1e-4)

    def loss(params):
        return PROBLEM.loss(params, Exact(), KEY, PROBLEM.data())

    params = {"latent": jnp.asarray(latents, jnp.float32)}
    value, slope = jax.jit(jax.value_and_grad(loss))(params)
    assert float(value) == pytest.approx(np.mean(list(map(mean, latents, costs))), rel=1e-4)
    step = 1e-5 * np.eye(10)
    for y, each, found in zip(latents, costs, slope["latent"], strict=True):
        differences = [(mean(y + e, each) - mean(y - e, each)) / 2e-5 / 3 for e in step]
        np.testing.assert_allclose(found, differences, rtol=5e-3, atol=5e-3)


def test_scores_are_those_of_nearest_integers(compressed):
    latents, images = compressed
    found = PROBLEM.scores({"latent": jnp.asarray(latents, jnp.float32)}, KEY, PROBLEM.data())
    expected = np.mean([cost(np.round(y), x) for y, x in zip(latents, images, strict=True)])
    assert float(found["rate_distortion"]) == pytest.approx(expected, rel=1e-4)
    parts = float(found["rate"] + PROBLEM.weight * found["distortion"])
    assert parts == pytest.approx(expected, rel=1e-4)


def test_the_relaxed_bit_is_stochastic_gumbel_annealing_s():
    """The softmax of two perturbed logits, divided by the same temperature once more."""
    temperature, latent = 0.3, 2.2
    problem = Rounding(temperature=temperature)
    down, up = (-math.atanh(one) / temperature for one in (0.2, 0.8))
    bits = problem.bits(jnp.full(100_000, latent))
    found = []
    GumbelSoftmax(temperature)(KEY, bits, lambda z: found.append(z) or z.sum())
    noise = np.random.default_rng(0).gumbel(size=(2, 100_000))
    logits = (np.array([[down], [up]]) + noise) / temperature
    expected = 1 / (1 + np.exp(logits[0] - logits[1]))
    moments = np.array([[one.mean(), (one**2).mean()] for one in (np.asarray(found[0]), expected)])
    np.testing.assert_allclose(*moments, atol=4 * 0.5 / math.sqrt(50_000))


def test_an_integer_stays_itself():
    bits = PROBLEM.bits(jnp.array([2.0, -1.0]))
    assert (bits.mean < 1e-5).all()
    slope = jax.grad(lambda y: PROBLEM.bits(y).mean.sum())(jnp.array([2.0, 2.5, 2.999999]))
    assert jnp.isfinite(slope).all()


def test_the_compressor_compresses(compressed):
    """Its codes are cheaper than those of a mean image, for every image."""
    latents, images = compressed
    grey = images.mean(0)
    for y, x in zip(latents, images, strict=True):
        assert cost(np.round(y), x) < PROBLEM.weight * np.sum((x - grey) ** 2)


def test_it_is_trained_also_where_it_is_first_traced():
    problem = Rounding(latents=2, images=2)
    params = {"latent": jnp.zeros((2, 2))}
    loss = jax.jit(lambda p: problem.loss(p, Exact(), KEY, problem.data()))
    assert jnp.isfinite(loss(params)) and isinstance(problem.compressor["mean"], np.ndarray)


@pytest.mark.parametrize("name", ["latents", "images", "temperature", "weight"])
def test_bad_settings_are_refused(name):
    with pytest.raises(ValueError, match=f"Rounding {name}"):
        Rounding(**{name: 0}).check()
