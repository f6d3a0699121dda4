"""The quantised autoencoder against sums over its codes that are written out."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Exact, ReinMax, ScoreFunction
from experiments.problems import VectorQuantised
from experiments.problems.quantised import rotated
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE

KEY = jax.random.key(3)
SMALL = {"codes": 3, "dimension": 2, "hidden": 3, "batch_size": 2}
DETERMINISTIC = ("straight-through", "rotation")
fast = functools.partial(jax.jit, compiler_options=FAST_TO_COMPILE)


@functools.cache
def ready():
    """Return parameters that are not small, and a batch, both in float64."""
    problem = VectorQuantised(**SMALL)
    batch = fast(problem.batch)(KEY, problem.data())
    shapes = jax.eval_shape(lambda key: problem.measured_params(problem.initial(key), batch), KEY)
    rng = np.random.default_rng(6)
    params = jax.tree.map(lambda x: 0.3 * rng.normal(size=x.shape), shapes)
    return params, {"images": np.asarray(batch["images"], np.float64), "labels": batch["labels"]}


def layers(network, x):
    """Return the output of a network with one layer of rectifiers."""
    first, second = (network["layers"][i] for i in (0, 1))
    hidden = np.maximum(x @ first["kernel"] + first["bias"], 0)
    return hidden @ second["kernel"] + second["bias"]


def encoded(params, image):
    return layers(params["encoder"], image).reshape(2, -1)


def distances(params, image):
    codes = params["codebook"]["codes"]
    return np.sum((encoded(params, image)[:, None] - codes) ** 2, -1)


def loss_by_hand(params, batch, kl_weight):
    total, codes = 0.0, params["codebook"]["codes"]
    for image, added in zip(batch["images"], params["logits"], strict=True):
        scale = np.exp(params["codebook"]["log_scale"])
        odds = np.exp(-distances(params, image) / scale + added)
        chance = odds / odds.sum(-1, keepdims=True)
        for choice in itertools.product(range(len(codes)), repeat=2):
            probability = chance[0, choice[0]] * chance[1, choice[1]]
            decoded = layers(params["decoder"], codes[list(choice)].ravel())
            total += probability * np.sum((image - decoded) ** 2)
        total += kl_weight * np.sum(chance * np.log(chance * len(codes)))
    return total / len(batch["images"])


@pytest.mark.parametrize("kl_weight", [0.0, 0.7])
def test_exact_loss_and_its_gradient(kl_weight):
    params, batch = ready()
    problem = VectorQuantised(kl_weight=kl_weight, **SMALL)
    with jax.enable_x64(True):
        value, slope = fast(jax.value_and_grad(problem.exact_loss))(params, batch)
    assert float(value) == pytest.approx(loss_by_hand(params, batch, kl_weight), rel=1e-9)
    rng = np.random.default_rng(2)
    for group in ("encoder", "codebook", "decoder", "logits"):
        way = jax.tree.map(lambda x: 1e-6 * rng.normal(size=x.shape), params[group])
        up, down = (
            loss_by_hand(
                params | {group: jax.tree.map(lambda x, d, s=s: x + s * d, params[group], way)},
                batch,
                kl_weight,
            )
            for s in (1, -1)
        )
        expected = sum(map(np.vdot, jax.tree.leaves(slope[group]), jax.tree.leaves(way)))
        assert (up - down) / 2 == pytest.approx(float(expected), rel=1e-5)


def rotation(e, q):
    """Return the stretched rotation of the plane of two vectors, by its angle."""
    angle = np.arctan2(q[1], q[0]) - np.arctan2(e[1], e[0])
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.linalg.norm(q) / np.linalg.norm(e) * turned


@pytest.mark.parametrize("quantiser", DETERMINISTIC)
def test_rules_of_deterministic_codes(quantiser):
    """The loss of the nearest codes, and the gradients that the papers' rules give."""
    params, batch = ready()
    params = params | {"logits": np.zeros_like(params["logits"])}
    problem = VectorQuantised(quantiser=quantiser, commitment=0.3, **SMALL)
    codes = params["codebook"]["codes"]
    with jax.enable_x64(True):
        slopes = fast(jax.value_and_grad(problem.loss), static_argnums=1)
        value, slope = slopes(params, Exact(), KEY, batch)
        other, again = slopes(params, ReinMax(), jax.random.key(9), batch)
    assert float(value) == pytest.approx(float(other), rel=1e-12)
    np.testing.assert_allclose(slope["codebook"]["codes"], again["codebook"]["codes"], atol=1e-12)
    total, bias, moved = 0.0, np.zeros(4), np.zeros_like(codes)
    for image in batch["images"]:
        e, nearest = encoded(params, image), distances(params, image).argmin(-1)
        q = codes[nearest]
        total += np.sum((image - layers(params["decoder"], q.ravel())) ** 2)
        total += 1.3 * np.sum((e - q) ** 2)

        def misfit(flat, image=image):
            return np.sum((image - layers(params["decoder"], flat)) ** 2)

        at_codes = np.array(
            [
                (misfit(q.ravel() + 1e-6 * d) - misfit(q.ravel() - 1e-6 * d)) / 2e-6
                for d in np.eye(4)
            ]
        ).reshape(2, 2)
        for place in range(2):
            rule = rotation(e[place], q[place]) if quantiser == "rotation" else np.eye(2)
            passed = rule.T @ at_codes[place] + 0.6 * (e - q)[place]
            bias[2 * place : 2 * place + 2] += passed
            # By the codebook's own term alone.
            moved[nearest[place]] += 2 * (q - e)[place]
    assert float(value) == pytest.approx(total / 2, rel=1e-9)
    np.testing.assert_allclose(slope["encoder"]["layers"][1]["bias"], bias / 2, rtol=1e-5)
    np.testing.assert_allclose(slope["codebook"]["codes"], moved / 2, rtol=1e-6, atol=1e-9)
    assert not np.any(slope["codebook"]["log_scale"]) and not np.any(slope["logits"])
    assert "no bias to measure" in problem.no_truth


def test_rotation_is_a_stretched_rotation():
    rng = np.random.default_rng(0)
    e, q = np.float32(rng.normal(size=(2, 5)))
    np.testing.assert_allclose(rotated(e, q), q, rtol=1e-5)
    matrix = np.asarray(jax.jacobian(rotated)(e, q)) * np.linalg.norm(e) / np.linalg.norm(q)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(5), atol=1e-5)
    assert np.linalg.det(matrix) == pytest.approx(1, rel=1e-4)
    for gradient in (
        jax.jacobian(rotated)(e, jnp.zeros(5)),
        jax.jacobian(rotated)(jnp.zeros(5), q),
        jax.jacobian(rotated)(e, -e),
    ):
        assert np.isfinite(gradient).all()
    np.testing.assert_allclose(jax.jacobian(rotated)(e, e), np.eye(5), atol=1e-5)


def test_the_categorical_quantiser_is_sampled():
    params, batch = ready()
    problem = VectorQuantised(**SMALL)
    losses = fast(jax.vmap(lambda key: problem.loss(params, ScoreFunction(), key, batch)))
    found = losses(jax.random.split(KEY, 64))
    assert len(np.unique(found)) > 3


def test_scores_are_those_of_hard_codes():
    problem = VectorQuantised(**SMALL)
    params, _ = ready()
    data = jax.tree.map(lambda array: array[:300], problem.data("test"))
    images = np.asarray(data["images"], np.float64) / 255
    nearest = np.array([distances(params, image).argmin(-1) for image in images])
    codes = params["codebook"]["codes"][nearest].reshape(len(images), -1)
    shares = np.array([np.bincount(nearest[:, place], minlength=3) for place in (0, 1)]) / 300
    together = shares.mean(0)

    def entropy(p):
        return -np.sum(p[p > 0] * np.log(p[p > 0]))

    found = fast(problem.scores)(params, KEY, data)
    misfit = np.mean((images - layers(params["decoder"], codes)) ** 2)
    assert found["distortion"] == pytest.approx(misfit, rel=1e-4)
    bits = sum(entropy(p) for p in shares) / np.log(2)
    assert found["rate"] == pytest.approx(bits, abs=0.02) and bits > 0.1
    assert found["usage"] == pytest.approx(np.exp(entropy(together)) / 3, rel=1e-2)
    assert found["used"] == pytest.approx(np.mean(together > 0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"positions": 0}, "VectorQuantised positions must be at least 1"),
        ({"codes": 1}, "VectorQuantised codes must be at least 2"),
        ({"dimension": 0}, "VectorQuantised dimension must be at least 1"),
        ({"hidden": "4-x"}, "hidden must be sizes such as"),
        ({"quantiser": "soft"}, "VectorQuantised quantiser must be one of categorical"),
        ({"commitment": -1.0}, "VectorQuantised commitment"),
        ({"kl_weight": -1.0}, "VectorQuantised kl_weight"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(VectorQuantised(), **wrong).check()
