"""Problems of several layers against sums over every path, written out in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    OVIS,
    REBAR,
    VIMCO,
    DisARM,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
)
from experiments.measurement.moments import Sampler, flat
from experiments.problems import VAE, StructuredPrediction
from tests.estimators.helpers.checks import recorder
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE

KEY = jax.random.key(5)
TINY = {"size": 2, "classes": 3, "batch_size": 2}
LATENTS = pytest.mark.parametrize("latent", ["Bernoulli", "Categorical"])


@functools.cache
def point(problem):
    """Return parameters, away from their start, and a batch."""
    batch = problem.batch(KEY, problem.data())
    params = jax.jit(problem.initial)(KEY)
    rng = np.random.default_rng(6)

    def moved(x):
        return jnp.asarray(np.asarray(x) + np.float32(0.3 * rng.normal(size=x.shape)))

    return jax.tree.map(moved, params), batch


def affine(network, x):
    (layer,) = network["layers"].values()
    return x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)


def states(problem):
    choices = [0.0, 1.0] if problem.latent == "Bernoulli" else np.eye(problem.classes)
    return [np.array(state) for state in itertools.product(choices, repeat=problem.size)]


def enter(problem, state):
    return 2 * state - 1 if problem.latent == "Bernoulli" else state.ravel()


def log_chance(problem, logits, state):
    if problem.latent == "Bernoulli":
        return -np.sum(np.log1p(np.exp(np.where(state == 1, -logits, logits))))
    logits = logits.reshape(state.shape)
    return np.sum(state * (logits - np.log(np.exp(logits).sum(-1, keepdims=True))))


def log_pixels(logits, image):
    return -np.sum(np.log1p(np.exp(np.where(image == 1, -logits, logits))))


def prior_logits(problem, prior, state):
    if problem.prior != "autoregressive":
        return np.asarray(prior, np.float64)
    couplings = np.tril(np.asarray(prior["couplings"], np.float64), -1)
    return np.asarray(prior["logits"], np.float64) + couplings @ enter(problem, state)


def paths(problem, params, image):
    """Return the log-probability and the log-weight of every path, of two linear layers."""
    mean, decoder = problem.data().mean(0, dtype=np.float64), params["decoder"]
    image = np.asarray(image, np.float64)
    is_vae = isinstance(problem, VAE)
    inputs = image - mean if is_vae else (image - mean)[:392]
    found = []
    for z1 in states(problem):
        log_q1 = log_chance(problem, affine(params["encoder"][0], inputs), z1)
        for z2 in states(problem):
            entering = enter(problem, z1)
            log_q = log_q1 + log_chance(problem, affine(params["encoder"][1], entering), z2)
            if not is_vae:
                weight = log_pixels(affine(decoder, enter(problem, z2)), image[392:])
            else:
                weight = log_pixels(affine(decoder[0], enter(problem, z1)), image) - log_q
                weight += log_chance(problem, affine(decoder[1], enter(problem, z2)), z1)
                weight += log_chance(problem, prior_logits(problem, params["prior"], z2), z2)
            found.append((log_q, weight))
    return np.array(found).T


def bound(problem, num_samples):
    """Return the negative bound, the mean over all combinations of paths."""
    params, batch = point(problem)
    total = 0.0
    for image in batch:
        log_q, weights = paths(problem, params, image)
        chance, combined = np.exp(log_q), weights
        for _ in range(num_samples - 1):
            chance = np.multiply.outer(chance, np.exp(log_q))
            combined = np.logaddexp.outer(combined, weights)
        total -= np.sum(chance * (combined - np.log(num_samples)))
    return total / len(batch)


@pytest.mark.first_cases(4)
@LATENTS
@pytest.mark.parametrize("kl", ["analytic", "sampled", "sampled-no-score"])
def test_vae_of_two_layers_is_the_negative_bound(latent, kl):
    problem = VAE(latent, depth=2, kl=kl, **TINY)
    params, batch = point(problem)
    found = jax.jit(problem.exact_loss)(params, batch)
    np.testing.assert_allclose(found, bound(problem, 1), rtol=2e-6)


@pytest.mark.parametrize("num_samples", [1, 2])
def test_the_last_of_two_layers_has_the_autoregressive_prior(num_samples):
    problem = VAE(depth=2, kl="sampled", prior="autoregressive", num_samples=num_samples, **TINY)
    problem.check()
    params, batch = point(problem)
    found = jax.jit(lambda p: problem.loss(p, Exact(), KEY, batch))(params)
    np.testing.assert_allclose(found, bound(problem, num_samples), rtol=2e-6)


@LATENTS
def test_structured_prediction_is_the_expected_loss(latent):
    problem = StructuredPrediction(latent, **TINY)
    params, batch = point(problem)
    found = jax.jit(problem.exact_loss)(params, batch)
    np.testing.assert_allclose(found, bound(problem, 1), rtol=2e-6)


@pytest.mark.parametrize("cls", [VAE, StructuredPrediction])
def test_bound_of_several_samples_is_of_joint_paths(cls):
    forms = {"kl": "sampled"} if cls is VAE else {}
    problem = cls("Bernoulli", depth=2, num_samples=2, **forms, **TINY)
    params, batch = point(problem)
    found = jax.jit(lambda p: problem.loss(p, Exact(), KEY, batch))(params)
    np.testing.assert_allclose(found, bound(problem, 2), rtol=2e-6)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("estimator", [VIMCO(), OVIS(auxiliary_samples=1)], ids=str)
@pytest.mark.parametrize("cls", [VAE, StructuredPrediction])
def test_bounds_of_several_layers_are_unbiased(cls, estimator):
    forms = {"kl": "sampled"} if cls is VAE else {}
    problem = cls("Bernoulli", depth=2, num_samples=2, **forms, **TINY)
    assert_unbiased(problem, estimator)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("estimator", [MuProp(), DisARM(), ScoreFunction(LeaveOneOut(2))], ids=str)
@pytest.mark.parametrize(
    "problem",
    [
        VAE(depth=2, **TINY),
        VAE(depth=2, kl="sampled-no-score", **TINY),
        StructuredPrediction(**TINY),
    ],
    ids=str,
)
def test_nested_layers_are_unbiased(problem, estimator):
    assert_unbiased(problem, estimator)


def assert_unbiased(problem, estimator):
    params, batch = point(problem)
    truth = jax.jit(jax.grad(lambda p: problem.loss(p, Exact(), KEY, batch)))(params)

    def gradient(estimator, params, key):
        return jax.grad(problem.loss)(params, estimator, key, batch)

    (blocks,) = Sampler(gradient).draw(estimator, params, jax.random.key(8), 2**13, truth)
    error = np.sqrt(blocks.variance / blocks.count)
    noisy = error > 0
    # The largest of 3,000 normal numbers passes 5.5 in one run of 10,000.
    assert np.abs(blocks.offset[noisy] / error[noisy]).max() < 5.5
    scale = np.abs(flat(truth)).max()
    assert np.abs(blocks.offset[~noisy]).max(initial=0) < 1e-5 * scale
    # With the power to see a hundredth of the gradient.
    assert np.median(error[noisy]) < 0.05 * scale


@pytest.mark.slow
def test_forms_of_two_layers_have_one_gradient_and_three_variances():
    variances = []
    for kl in ("analytic", "sampled", "sampled-no-score"):
        problem = VAE(depth=2, kl=kl, **TINY)
        params, batch = point(problem)

        def gradient(estimator, params, key, problem=problem, batch=batch):
            return jax.grad(problem.loss)(params, estimator, key, batch)["encoder"]

        (blocks,) = Sampler(gradient).draw(ScoreFunction(), params, KEY, 2**12)
        variances.append(float(blocks.variance.sum()))
    assert len({round(variance, 3) for variance in variances}) == 3


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("num_samples", [3, 1])
def test_relaxed_bound_of_two_layers(num_samples):
    """The densities written out, on the noise that the estimator draws."""
    temperature, cold = 0.6, 0.4
    problem = VAE(
        depth=2, kl="relaxed-density", num_samples=num_samples, prior_temperature=cold, **TINY
    )
    params, batch = point(problem)

    def density(x, logits, t):
        gap = t * x - logits
        return jnp.sum(jnp.log(t) + gap - 2 * jnp.log1p(jnp.exp(gap)))

    def affine(network, x):
        (layer,) = network["layers"].values()
        return x @ layer["kernel"] + layer["bias"]

    def log_weight(key, params, image, logits):
        first, second = jax.random.split(key)
        noise = problem.layer.distribution(logits).noise
        x1 = (logits + noise(first)) / temperature
        z1 = jax.nn.sigmoid(x1)
        logits2 = affine(params["encoder"][1], 2 * z1 - 1)
        x2 = (logits2 + noise(second)) / temperature
        z2 = jax.nn.sigmoid(x2)
        pixels = affine(params["decoder"][0], 2 * z1 - 1)
        value = jnp.sum(image * pixels - jnp.logaddexp(pixels, 0))
        value += density(x1, affine(params["decoder"][1], 2 * z2 - 1), cold)
        value += density(x2, params["prior"], cold)
        return value - density(x1, logits, temperature) - density(x2, logits2, temperature)

    @jax.jit
    def loss_and_log_weights(params, batch):
        def of_image(key, image, logits):
            keys = jax.random.split(key, num_samples) if num_samples > 1 else key[None]
            return jax.vmap(log_weight, (0, None, None, None))(keys, params, image, logits)

        keys = jax.random.split(KEY, len(batch))
        weights = jax.vmap(of_image)(keys, batch, problem.encode(params, batch))
        return problem.loss(params, GumbelSoftmax(temperature), KEY, batch), weights

    found, weights = loss_and_log_weights(params, batch)
    bounds = np.logaddexp.reduce(np.float64(weights), 1) - np.log(num_samples)
    np.testing.assert_allclose(found, -bounds.mean(), rtol=2e-4)
    distribution = jax.jit(problem.distribution)(params, batch)
    assert problem.refusal(GumbelSoftmax(0.5), distribution) is None
    assert problem.evaluations(GumbelSoftmax(0.5), distribution) == num_samples


def test_relaxed_paths_of_structured_prediction():
    """The log of the mean likelihood over relaxed paths, and its own derivative."""
    temperature, num_samples = 0.6, 3
    problem = StructuredPrediction(num_samples=num_samples, **TINY)
    params, batch = point(problem)
    half = batch.shape[1] // 2

    def affine(network, x):
        (layer,) = network["layers"].values()
        return x @ layer["kernel"] + layer["bias"]

    def log_chance(params, key, image, logits):
        first, second = jax.random.split(key)
        noise = problem.layer.distribution(logits).noise
        z1 = jax.nn.sigmoid((logits + noise(first)) / temperature)
        logits2 = affine(params["encoder"][1], 2 * z1 - 1)
        z2 = jax.nn.sigmoid((logits2 + noise(second)) / temperature)
        pixels = affine(params["decoder"], 2 * z2 - 1)
        return jnp.sum(image[half:] * pixels - jnp.logaddexp(pixels, 0))

    def written_out(params):
        total = 0.0
        logits = problem.encode(params, batch)
        for key, image, own in zip(jax.random.split(KEY, len(batch)), batch, logits, strict=True):
            keys = jax.random.split(key, num_samples)
            chances = jnp.stack([log_chance(params, key, image, own) for key in keys])
            total -= jax.nn.logsumexp(chances) - jnp.log(num_samples)
        return total / len(batch)

    def loss(params):
        return problem.loss(params, GumbelSoftmax(temperature), KEY, batch)

    found, expected = (jax.jit(jax.value_and_grad(g))(params) for g in (loss, written_out))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    close = functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=1e-4)
    jax.tree.map(close, found[1], expected[1])
    distribution = problem.distribution(params, batch)
    assert problem.refusal(GumbelSoftmax(0.5), distribution) is None
    assert problem.evaluations(GumbelSoftmax(0.5), distribution) == num_samples


@pytest.mark.first_cases(4)
@pytest.mark.parametrize(
    ("estimator", "count"),
    [
        (ScoreFunction(), 1),
        (DisARM(), 4),
        (MuProp(), 3),
        (REBAR(0.5), 5),
        (ScoreFunction(LeaveOneOut(2)), 4),
    ],
    ids=str,
)
def test_evaluations_of_nested_layers_are_counted(estimator, count):
    """Naively to the power of the layers; one for each pass of the published forms."""
    problem = StructuredPrediction(**TINY)
    params, batch = point(problem)
    points = []
    seen = recorder(points)

    class Seen(StructuredPrediction):
        def prediction(self, params, image, sample):
            return super().prediction(params, image, seen(sample))

    counted = Seen(**TINY)

    @functools.partial(jax.jit, compiler_options=FAST_TO_COMPILE)
    def gradient(params):
        return jax.value_and_grad(counted.loss)(params, estimator, KEY, batch[:1])

    jax.block_until_ready(gradient(params))
    distribution = problem.distribution(params, batch)
    assert len(points) == problem.evaluations(estimator, distribution) == count


@LATENTS
@pytest.mark.parametrize("cls", [VAE, StructuredPrediction])
def test_log_weight_is_that_of_a_path(cls, latent):
    """Every drawn weight is one of the enumerated ones, and as frequent as its path."""
    problem = cls(latent, depth=2, **TINY)
    params, batch = point(problem)
    log_q, weights = paths(problem, params, batch[0])
    if cls is StructuredPrediction:  # its weight depends on the last layer alone
        count = len(states(problem))
        log_q = np.logaddexp.reduce(log_q.reshape(count, count))
        weights = weights[:count]
    keys = jax.random.split(jax.random.key(3), 2**14)
    drawn = np.asarray(
        jax.jit(jax.vmap(lambda key: problem.log_weight(params, key, batch[0])))(keys)
    )
    distance = np.abs(drawn[:, None] - weights)
    assert distance.min(1).max() < 1e-3
    counts = np.bincount(distance.argmin(1), minlength=len(weights))
    expected = np.exp(log_q) * len(keys)
    scores = (counts - expected) / np.sqrt(expected * (1 - np.exp(log_q)) + 1e-9)
    assert np.abs(scores[expected > 10]).max() < 4.5


def test_deep_networks_have_their_sizes():
    problem = VAE(size=200, depth=2, hidden="200-200")
    shapes = jax.eval_shape(problem.initial, KEY)
    sizes = [
        [layer["kernel"].shape for layer in network["layers"].values()]
        for network in (*shapes["encoder"], *shapes["decoder"])
    ]
    inner = [(200, 200)] * 3
    assert sizes == [
        [(784, 200), (200, 200), (200, 200)],
        inner,
        [(200, 200), (200, 200), (200, 784)],
        inner,
    ]
    problem = StructuredPrediction("Categorical", size=20)
    shapes = jax.eval_shape(problem.initial, KEY)
    networks = (*shapes["encoder"], shapes["decoder"])
    assert [network["layers"][0]["kernel"].shape for network in networks] == [
        (392, 200),
        (200, 200),
        (200, 392),
    ]
    reverse = jax.eval_shape(VAE(hidden="512-256").initial, KEY)
    assert [layer["kernel"].shape[0] for layer in reverse["decoder"][0]["layers"].values()] == [
        8,
        256,
        512,
    ]


def test_corners_of_a_hypercube():
    """Classes enter as their binary digits, each -1 or 1: 8 classes as 3 numbers."""
    problem = VAE("Categorical", 2, 8, coding="corners", depth=2)
    assert str(problem).startswith("VAE[latent=Categorical,size=2,classes=8,depth=2,")
    corners = np.array(list(itertools.product([-1, 1], repeat=3)))[:, ::-1]
    for number in range(8):
        sample = np.eye(8)[[number, 7 - number]]
        expected = np.concatenate([corners[number], corners[7 - number]])
        np.testing.assert_array_equal(problem.layer.code(jnp.asarray(sample)), expected)
    # Of a relaxed sample, the mean corner.
    middle = problem.layer.code(jnp.full((2, 8), 1 / 8))
    np.testing.assert_allclose(middle, 0, atol=1e-7)
    shapes = jax.eval_shape(problem.initial, KEY)
    sizes = [network["layers"][0]["kernel"].shape for network in shapes["encoder"]]
    assert sizes == [(784, 16), (6, 16)]
    with pytest.raises(ValueError, match="power of two of classes, not 10"):
        VAE("Categorical", coding="corners").check()


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    "problem", [VAE(depth=2, **TINY), VAE("Normal", **TINY), StructuredPrediction(**TINY)], ids=str
)
def test_pictures(problem):
    params, batch = point(problem)
    shown = jnp.concatenate([batch] * 8)
    for name, grid in jax.jit(problem.pictures)(params, KEY, shown).items():
        assert grid.ndim == 4 and grid.shape[2:] == (28, 28), name
        assert np.isfinite(grid).all() and grid.min() >= 0 and grid.max() <= 1
        if name in ("reconstructions", "completions"):
            np.testing.assert_array_equal(grid[0, 0].ravel(), batch[0])


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("latent", ["Bernoulli", "Categorical", "Normal"])
def test_traversals_change_one_variable_at_a_time(latent):
    """Of a linear decoder every change of the picture's logits is a column of its matrix."""
    problem = VAE(latent, 5, 3)
    params, batch = point(problem)
    grid = jax.jit(problem.pictures)(params, KEY, batch)["traversals"]
    decoder = params["decoder"][0]["layers"][0]
    logits = np.asarray(problem.encode(params, batch[:1]), np.float64)[0]
    if latent == "Normal":
        likeliest, walk = logits[:5, None], np.arange(-2.0, 3.0)[:, None]
    elif latent == "Bernoulli":
        likeliest, walk = np.sign(logits)[:, None], None
    else:
        likeliest, walk = np.eye(3)[logits.reshape(5, 3).argmax(1)], np.eye(3)
    kernel = np.asarray(decoder["kernel"], np.float64).reshape(*likeliest.shape, -1)

    def picture(code):
        pixels = np.tensordot(code, kernel, 2) + np.asarray(decoder["bias"], np.float64)
        return 1 / (1 + np.exp(-pixels)).reshape(28, 28)

    def changed(place):
        values = -likeliest[place][None] if walk is None else walk
        codes = np.repeat(likeliest[None], len(values), 0)
        codes[:, place] = values
        return [picture(code) for code in codes]

    first, changes = picture(likeliest), [changed(place) for place in range(5)]
    distance = [max(np.sum((one - first) ** 2) for one in each) for each in changes]
    kept = np.argsort(distance)[::-1][: 15 // len(changes[0])]
    expected = [first, *(one for place in kept for one in changes[place])]
    np.testing.assert_allclose(grid[0], expected, atol=1e-5)


def test_a_prior_that_stays_uniform():
    learned, uniform = VAE(**TINY), VAE(prior="uniform", **TINY)
    params, batch = point(uniform)
    assert "prior" not in params
    zero = params | {"prior": jnp.zeros(2)}
    np.testing.assert_array_equal(
        jax.jit(uniform.exact_loss)(params, batch), jax.jit(learned.exact_loss)(zero, batch)
    )


# Data -------------------------------------------------------------------------------------------


def test_dynamic_binarisation_draws_anew_with_the_right_chance():
    problem = VAE(binarisation="dynamic", batch_size=4096)
    grey = problem.data()
    batch = np.asarray(problem.batch(KEY, grey[:1]))
    assert set(np.unique(batch)) == {0, 1}
    chance = grey[0] / 255
    scores = (batch.mean(0) - chance) / np.sqrt(np.maximum(chance * (1 - chance), 1e-9) / 4096)
    assert np.abs(scores).max() < 4.5
    assert np.all(batch[:, grey[0] == 255] == 1) and np.all(batch[:, grey[0] == 0] == 0)
    assert not np.array_equal(batch[0], batch[1])


def test_real_targets_are_the_grey_values():
    problem = VAE(binarisation="real", batch_size=3)
    grey = problem.data()
    np.testing.assert_allclose(problem.examples(KEY, grey[:5]), grey[:5] / 255, rtol=1e-6)
    np.testing.assert_allclose(problem.mean_image, grey.mean(0) / 255, rtol=1e-5)


def test_splits_are_evaluated_as_they_are():
    problem = VAE()
    test = problem.data("test")
    assert len(test) == 10_000 and len(problem.data()) == 50_000
    np.testing.assert_array_equal(problem.examples(KEY, test[:7]), test[:7])
