"""Autoregressive layers, and VAEs with them, against sums over every state in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Bernoulli, DisARM, Exact, LeaveOneOut, ScoreFunction, StraightThrough
from experiments.measurement.moments import Sampler, flat
from experiments.problems import VAE
from experiments.problems.autoregressive import Autoregressive
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE

KEY = jax.random.key(5)
SMALL = {"size": 3, "batch_size": 2, "prior": "autoregressive"}
STATES = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
FORMS = ("sampled", "sampled-no-score")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def before(weights, code):
    """Return the sum over earlier variables for each."""
    place = np.arange(len(code))
    return np.where(place[:, None] > place, weights, 0) @ code


def log_chance(logits, bits):
    return -np.logaddexp(0, np.where(bits == 1, -logits, logits)).sum()


# The distribution -------------------------------------------------------------------------------

SIZE = 4
BITS = np.array(list(itertools.product([0.0, 1.0], repeat=SIZE)), np.float32)


def layer():
    """Return a layer with strong couplings, and numbers above the diagonal that do nothing."""
    rng = np.random.default_rng(0)
    logits, couplings = rng.normal(size=SIZE), 1.5 * rng.normal(size=(SIZE, SIZE))
    return Autoregressive(jnp.float32(logits), jnp.float32(couplings), lambda z: 2 * z - 1)


def test_probabilities_are_the_products_and_sum_to_one():
    made = layer()
    found = np.asarray(jax.vmap(made.log_prob)(BITS), np.float64)
    logits, couplings = np.float64(made.logits), np.float64(made.couplings)
    expected = [log_chance(logits + before(couplings, 2 * z - 1), z) for z in BITS]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-6)
    # Far from independent variables: some state's probability is a multiple of theirs.
    alone = np.exp(jax.vmap(Bernoulli(made.logits).log_prob)(BITS))
    assert np.max(np.exp(found) / alone) > 3


def test_samples_are_as_frequent_as_their_probabilities():
    made, count = layer(), 2**14
    keys = jax.random.split(jax.random.key(1), count)
    drawn = np.asarray(jax.jit(jax.vmap(made.sample))(keys))
    counts = np.bincount((drawn @ 2.0 ** np.arange(SIZE)[::-1]).astype(int), minlength=2**SIZE)
    expected = count * np.exp(np.asarray(jax.vmap(made.log_prob)(BITS), np.float64))
    assert expected.min() > 5
    # The law of 15 degrees of freedom passes 57 once in a million.
    assert np.sum((counts - expected) ** 2 / expected) < 57


def test_relaxed_samples_have_a_log_probability_and_its_gradient():
    made, relaxed = layer(), np.array([0.2, 0.9, 0.4, 0.7])
    logits, couplings = np.float64(made.logits), np.float64(made.couplings)

    def written_out(z):
        given = logits + before(couplings, 2 * z - 1)
        return np.sum(z * given - np.logaddexp(0, given))

    value, slope = jax.value_and_grad(made.log_prob)(jnp.float32(relaxed))
    assert value == pytest.approx(written_out(relaxed), rel=1e-5)
    steps = 1e-4 * np.eye(SIZE)
    expected = [(written_out(relaxed + h) - written_out(relaxed - h)) / 2e-4 for h in steps]
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-5)


def test_without_couplings_it_is_bernoulli():
    logits = layer().logits
    alone, made = Bernoulli(logits), Autoregressive(logits, jnp.zeros((SIZE, SIZE)), layer().code)

    @jax.jit
    @jax.vmap
    def draws(key):
        drawn, same = made.sample(key), alone.sample(key)
        return drawn, same, made.log_prob(drawn), alone.log_prob(drawn)

    drawn, same, found, expected = draws(jax.random.split(KEY, 64))
    np.testing.assert_array_equal(drawn, same)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_variable_sees_those_before_it_only():
    made = layer()
    seen = jax.jacobian(lambda z: made.conditionals(z).logits)(jnp.zeros(SIZE))
    np.testing.assert_allclose(seen, 2 * np.tril(made.couplings, -1), rtol=1e-6)


# The VAE ----------------------------------------------------------------------------------------


@functools.cache
def point(problem):
    """Return parameters, away from their start, and a batch."""
    batch = problem.batch(KEY, problem.data())
    params = jax.jit(problem.initial)(KEY)
    rng = np.random.default_rng(6)

    def moved(x):
        return jnp.asarray(np.asarray(x) + np.float32(0.1 * rng.normal(size=x.shape)))

    return jax.tree.map(moved, params), batch


def paths(problem, params, image):
    """Return log q(z | x) and log p(x, z) - log q(z | x) of every z, of linear networks."""
    mean = np.float64(problem.mean_image)
    encoder, decoder = (params[name][0]["layers"][0] for name in ("encoder", "decoder"))
    own = (image - mean) @ encoder["kernel"] + encoder["bias"]
    pixels = before(params["pixels"], image - mean) if "pixels" in params else 0.0
    found = []
    for z in STATES:
        code, log_q = 2 * z - 1, log_chance(own, z)
        prior = params["prior"]["logits"] + before(params["prior"]["couplings"], code)
        logits = code @ decoder["kernel"] + decoder["bias"] + pixels
        found.append((log_q, log_chance(logits, image) + log_chance(prior, z) - log_q))
    return np.array(found).T


def wide(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def bound(problem, params, batch):
    """Return the negative bound of the batch."""
    total = 0.0
    for image in np.asarray(batch, np.float64):
        log_q, weights = paths(problem, params, image)
        total -= np.exp(log_q) @ weights / len(batch)
    return total


@pytest.mark.parametrize("pixels", ["independent", "autoregressive"])
def test_loss_is_the_negative_bound_and_its_gradient_that_of_differences(pixels):
    problem = VAE(kl="sampled", pixels=pixels, **SMALL)
    params, batch = point(problem)
    gradients = []
    for form in FORMS:
        same = VAE(kl=form, pixels=pixels, **SMALL)
        exact = jax.jit(jax.value_and_grad(same.exact_loss), compiler_options=FAST_TO_COMPILE)
        value, slope = exact(params, batch)
        assert value == pytest.approx(bound(problem, wide(params), batch), rel=2e-6)
        gradients.append(slope)
    scale = np.abs(flat(gradients[0])).max()
    np.testing.assert_allclose(flat(gradients[1]), flat(gradients[0]), atol=2e-5 * scale)
    for group, slope in gradients[0].items():
        rng = np.random.default_rng(7)
        way = jax.tree.map(lambda x, rng=rng: rng.normal(size=x.shape), params[group])

        def along(step, group=group, way=way):
            moved = jax.tree.map(lambda x, way: x + step * way, wide(params[group]), way)
            return bound(problem, wide(params) | {group: moved}, batch)

        expected = (along(1e-4) - along(-1e-4)) / 2e-4
        found = sum(jax.tree.leaves(jax.tree.map(lambda x, way: np.sum(x * way), wide(slope), way)))
        assert found == pytest.approx(expected, rel=1e-4), group


def test_without_couplings_it_is_the_plain_vae():
    joined = VAE(kl="sampled", pixels="autoregressive", **SMALL)
    plain = VAE(size=3, batch_size=2, kl="sampled")
    start, batch = jax.jit(joined.initial)(KEY), point(joined)[1]
    as_plain = {"encoder": start["encoder"], "decoder": start["decoder"]}
    as_plain |= {"prior": start["prior"]["logits"]}
    jax.tree.map(np.testing.assert_array_equal, as_plain, jax.jit(plain.initial)(KEY))

    def value_and_slope(problem, estimator):
        def loss(params, key, batch):
            return problem.loss(params, estimator, key, batch)

        return jax.jit(jax.value_and_grad(loss), compiler_options=FAST_TO_COMPILE)

    for estimator in (Exact(), StraightThrough()):
        value, slope = value_and_slope(joined, estimator)(start, KEY, batch)
        other_value, other = value_and_slope(plain, estimator)(as_plain, KEY, batch)
        assert value == pytest.approx(float(other_value), rel=1e-6)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
        jax.tree.map(close, slope["encoder"], other["encoder"])
        jax.tree.map(close, slope["prior"]["logits"], other["prior"])


def test_a_pixel_sees_those_before_it_only():
    problem = VAE(kl="sampled", pixels="autoregressive", **SMALL)
    params, batch = point(problem)
    image, z = batch[0], jnp.array([1.0, 0.0, 1.0])
    slope = jax.jit(jax.grad(problem.reconstruction))(params, image, z)["pixels"]
    off = np.asarray(image, np.float64) - np.float64(problem.mean_image)
    logits = np.float64(problem.pixel_logits(params, z)) + before(wide(params["pixels"]), off)
    expected = np.tril(np.outer(sigmoid(logits) - np.float64(image), off), -1)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-5)
    assert np.all(np.triu(slope) == 0)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("estimator", [DisARM(), ScoreFunction(LeaveOneOut(2))], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_estimators_are_unbiased(form, estimator):
    problem = VAE(kl=form, pixels="autoregressive", **SMALL)
    params, batch = point(problem)
    groups = {name: params[name] for name in ("encoder", "prior")}

    def gradient(estimator, groups, key):
        return jax.grad(lambda part: problem.loss(params | part, estimator, key, batch))(groups)

    truth = jax.jit(functools.partial(gradient, Exact()))(groups, KEY)
    (blocks,) = Sampler(gradient).draw(estimator, groups, jax.random.key(8), 2**12, truth)
    error = np.sqrt(blocks.variance / blocks.count)
    noisy = error > 0  # black pixels reach no encoder weight, couplings only below the diagonal
    # The largest of 2,000 normal numbers passes 5.5 in one run of 10,000.
    assert np.abs(blocks.offset[noisy] / error[noisy]).max() < 5.5
    scale = np.abs(flat(truth)).max()
    assert np.abs(blocks.offset[~noisy]).max(initial=0) < 1e-5 * scale
    assert np.median(error[noisy]) < 0.05 * scale
    couplings = noisy[-12:-3].reshape(3, 3)  # the prior's logits come last
    np.testing.assert_array_equal(couplings, np.tri(3, k=-1) > 0)


def test_log_weight_is_that_of_a_path():
    """Every drawn weight is one of the enumerated ones, and as frequent as its state."""
    problem = VAE(kl="sampled", pixels="autoregressive", **SMALL)
    params, batch = point(problem)
    log_q, weights = paths(problem, wide(params), np.asarray(batch[0], np.float64))
    keys = jax.random.split(jax.random.key(3), 2**12)
    drawn = jax.jit(jax.vmap(lambda key: problem.log_weight(params, key, batch[0])))(keys)
    distance = np.abs(np.asarray(drawn)[:, None] - weights)
    assert distance.min(1).max() < 1e-3 < np.diff(np.sort(weights)).min()
    counts = np.bincount(distance.argmin(1), minlength=len(weights))
    expected = np.exp(log_q) * len(keys)
    scores = (counts - expected) / np.sqrt(expected * (1 - np.exp(log_q)))
    assert np.abs(scores[expected > 10]).max() < 4.5


def test_pictures_have_pixels_drawn_one_after_another():
    """Couplings so strong that a pixel is the opposite of the one before it: stripes."""
    problem = VAE(kl="sampled", pixels="autoregressive", **SMALL)
    params, batch = point(problem)
    mean = np.asarray(problem.mean_image)
    assert mean.max() < 0.9
    decoder = jax.tree.map(jnp.zeros_like, params["decoder"])
    # The sum is over x - mean: its sign is that of x where the mean is below one half.
    pixels = jnp.diag(jnp.where(mean[:-1] < 0.5, -1e4 * jnp.ones(783), 0.0), -1)
    params = params | {"decoder": decoder, "pixels": pixels}
    grids = jax.jit(problem.pictures, compiler_options=FAST_TO_COMPILE)(params, KEY, batch)
    assert grids["samples"].shape == (8, 8, 28, 28)
    np.testing.assert_array_equal(grids["reconstructions"][0].reshape(2, 784), batch)
    for drawn in (grids["samples"].reshape(-1, 784), grids["reconstructions"][1].reshape(-1, 784)):
        drawn = np.asarray(drawn)
        assert set(np.unique(drawn)) == {0, 1}
        known = (mean[:-1] < 0.5) & (mean[:-1] > 0.01)
        np.testing.assert_array_equal(drawn[:, 1:][:, known], 1 - drawn[:, :-1][:, known])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "autoregressive"}, "or sampled-no-score, not analytic: the div"),
        ({"prior": "autoregressive", "kl": "relaxed-density"}, "not relaxed-density: the div"),
        ({"prior": "autoregressive", "latent": "Categorical"}, "Bernoulli latents, not Cat"),
        ({"pixels": "autoregressive", "binarisation": "real"}, "needs bits: binarisation=real"),
        ({"pixels": "masked"}, "pixels must be one of independent, autoregressive"),
        ({"prior": "fixed"}, "prior must be one of learned, uniform, autoregressive"),
    ],
)
def test_what_is_not_supported_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        VAE(**settings).check()
