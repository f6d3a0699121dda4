"""Settings of the VAE that follow PyTorch and Hooper and Shekhovtsov 2026."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import MVE, Categorical, Exact, ReinMax, StraightThrough
from experiments.problems import VAE
from experiments.problems.networks import ACTIVATIONS

KEY = jax.random.key(3)
PLAIN = {
    "hidden": "7",
    "activation": "leaky_relu_0.2",
    "prior": "uniform",
    "centred": False,
    "initialisation": "torch",
    "binarisation": "real",
    "batch_size": 3,
}


def test_classes_enter_as_numbers():
    problem = VAE("Categorical", 2, 5, coding="number", **PLAIN)
    samples = np.eye(5)[[4, 1]]
    np.testing.assert_allclose(problem.layer.code(jnp.asarray(samples)), [1, 1 / 4])
    shapes = jax.eval_shape(problem.initial, KEY)
    assert shapes["decoder"][0]["layers"][0]["kernel"].shape == (2, 7)
    assert shapes["encoder"][0]["layers"][1]["kernel"].shape == (7, 10)
    VAE("Categorical", coding="number").check()


def test_pytorchs_initialisation():
    """Weights and biases are uniform between +- 1 / sqrt(inputs), those of the pixels too."""
    params = VAE("Categorical", 32, 16, **PLAIN | {"hidden": "512-256"}).initial(KEY)
    for network in (*params["encoder"], *params["decoder"]):
        for layer in network["layers"].values():
            most = len(layer["kernel"]) ** -0.5
            for values in (layer["kernel"], layer["bias"]):
                values = np.asarray(values)
                assert 0.97 * most < np.abs(values).max() <= most
                assert abs(values.mean()) < 6 * most / np.sqrt(3 * values.size)
                spread = most / np.sqrt(3)
                assert abs(values.std() - spread) < 4 * spread / np.sqrt(values.size)


def test_without_centring_images_enter_as_they_are():
    problem = VAE("Categorical", 2, 3, **PLAIN)
    params = problem.initial(KEY)
    first, last = params["encoder"][0]["layers"].values()
    image = np.asarray(problem.batch(KEY, problem.data())[0])
    hidden = image @ first["kernel"] + first["bias"]
    expected = np.where(hidden > 0, hidden, 0.2 * hidden) @ last["kernel"] + last["bias"]
    np.testing.assert_allclose(problem.encode(params, image), expected, rtol=1e-4, atol=1e-5)
    assert float(ACTIVATIONS["leaky_relu"](jnp.float32(-1))) == pytest.approx(-0.3)


def test_all_training_images():
    problem = VAE(binarisation="real", held_out=False)
    usual = VAE(binarisation="real")
    assert "trained on validation images too" in problem.about_data
    assert "validation" not in usual.about_data
    images = problem.data()
    assert images.shape == (60_000, 784)
    np.testing.assert_array_equal(images[:50_000], usual.data())
    np.testing.assert_array_equal(images[50_000:], usual.data("validation"))
    assert len(problem.data("test")) == 10_000


@functools.cache
def with_two_classes():
    """Return a VAE one-hot and its equal fed numbers, with parameters of both, and a batch."""
    one_hot, number = (
        VAE("Categorical", 3, 2, coding=coding, **PLAIN) for coding in ("one-hot", "number")
    )
    params = one_hot.initial(KEY)
    first, *_ = params["decoder"][0]["layers"].values()
    kernel = first["kernel"].reshape(3, 2, -1)
    moved = {"kernel": kernel[:, 1] - kernel[:, 0], "bias": first["bias"] + kernel[:, 0].sum(0)}
    layers = params["decoder"][0]["layers"] | {0: moved}
    same = params | {"decoder": [{"layers": layers}]}
    return (one_hot, params), (number, same), one_hot.batch(KEY, one_hot.data())


def gradient(which, estimator):
    """Return the loss and its gradient in the encoder."""
    problem, params = with_two_classes()[which]
    batch = with_two_classes()[2]

    def loss(encoder):
        return problem.loss(params | {"encoder": encoder}, estimator, KEY, batch)

    return jax.jit(jax.value_and_grad(loss))(params["encoder"])


@pytest.mark.parametrize(
    ("one_hot", "number"),
    [
        (Exact(), Exact()),
        (StraightThrough(), StraightThrough()),
        (StraightThrough(), MVE(0.0, integer=True)),
        (ReinMax(1.0), ReinMax(1.0)),
        (ReinMax(1.0), MVE(1e6, integer=True)),
        (MVE(0.7), MVE(1.4, integer=True)),
    ],
    ids=str,
)
def test_two_classes_are_the_same_one_hot_and_as_numbers(one_hot, number):
    """T of numbers is twice that of one-hot variables; at large T, MVE of two classes is ZGR."""
    (value, slopes), (same, others) = gradient(0, one_hot), gradient(1, number)
    np.testing.assert_allclose(value, same, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5), slopes, others
    )
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(slopes)) > 0.01


def test_the_objective_is_the_cross_entropy_and_the_divergence_to_uniform():
    problem, params = with_two_classes()[0]
    batch = np.asarray(with_two_classes()[2])
    logits = np.asarray(problem.encode(params, batch), np.float64).reshape(3, 3, 2)
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    divergence = (probs * np.log(2 * probs)).sum((-1, -2))
    fixed = Categorical(jnp.where(jnp.eye(2)[jnp.zeros(3, int)] > 0, 40.0, -40.0))
    sample = fixed.sample(KEY)
    pixels = np.asarray(problem.pixel_logits(params, sample), np.float64)
    on, off = 1 / (1 + np.exp(-pixels)), 1 / (1 + np.exp(pixels))
    for image, own in zip(batch, divergence, strict=True):
        expected = -(image * np.log(on) + (1 - image) * np.log(off)).sum()
        found = problem.reconstruction(params, image, sample)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        encoded = Categorical(problem.encode(params, image).reshape(3, 2))
        np.testing.assert_allclose(encoded.kl(problem.top(params)), own, rtol=1e-4)
