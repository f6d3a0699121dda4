"""The measurement engine against the same samples, one by one, summed in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import GumbelSoftmax, LeaveOneOut, ScoreFunction, stack
from experiments.measurement import moments
from experiments.measurement.moments import Sampler, flat, sample_key
from experiments.measurement.point import prepare
from experiments.problems import VAE
from experiments.statistics.blocks import NUM_BLOCKS

KEY = jax.random.key(3)
PROBLEM = VAE(size=2, batch_size=3)
ESTIMATOR = GumbelSoftmax(0.5)


@pytest.fixture(scope="module")
def point():
    """Every parameter array of a small VAE: encoder, decoder, prior and logits."""
    return prepare(PROBLEM, jax.random.key(0), group="all", devices=jax.devices()[:4])


def draw(sampler, point, estimator, num_samples=64, **options):
    context = point.params, point.batch
    return sampler.draw(estimator, context, KEY, num_samples, point.centre, **options)


def assert_same(found, expected, rtol=2e-6):
    """The same samples went in: sums differ by float32's rounding at most."""
    assert found.size == expected.size and found.count == expected.count
    np.testing.assert_allclose(found.centre, expected.centre, rtol=rtol)
    for name in ("sums", "squares", "distances", "cosines", "powers"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max())


def one_by_one(gradient, key, count):
    """Return `[R, b, P]` gradients, each of a key of its own."""
    keys = jax.vmap(sample_key, (None, 0))(key, jnp.arange(count)).reshape(NUM_BLOCKS, -1)
    leaves = jax.tree.leaves(jax.jit(lambda keys: jax.lax.map(jax.vmap(gradient), keys))(keys))
    shaped = [np.asarray(leaf, np.float64).reshape(*keys.shape, -1) for leaf in leaves]
    return np.concatenate(shaped, -1)


def test_sums_are_those_of_the_gradients(point):
    # `jax.grad` itself, not the point's own gradient.
    def gradient(key):
        return jax.grad(lambda p: PROBLEM.loss(p, ESTIMATOR, key, point.batch))(point.params)

    samples = one_by_one(gradient, KEY, 64)
    truth = flat(point.centre)
    (found,) = draw(point.sampler, point, ESTIMATOR)
    assert found.count == 64
    assert found.mean.dtype == found.variance.dtype == np.float64
    # The truth is too far off to be what the sums are about.
    assert np.sum((found.centre - truth) ** 2) > 0.05 * found.variance.sum()
    off = samples - found.centre
    atol = 1e-5 * np.abs(off).max()
    np.testing.assert_allclose(found.sums, off.sum(1), rtol=1e-4, atol=atol)
    np.testing.assert_allclose(found.squares, (off**2).sum((0, 1)), rtol=1e-4, atol=atol**2)
    np.testing.assert_allclose(found.distances, (off**2).sum((1, 2)), rtol=1e-4)
    lengths = np.linalg.norm(samples, axis=-1) * np.linalg.norm(truth)
    np.testing.assert_allclose(found.cosines, (samples @ truth / lengths).sum(1), rtol=1e-4)
    shares = (off**2).sum(2) / found.powers[:, :1]
    np.testing.assert_allclose(shares.max(1), 1, rtol=1e-4)
    np.testing.assert_allclose(found.powers[:, 1], (shares**2).sum(1), rtol=1e-4)
    np.testing.assert_allclose(found.powers[:, 2], (shares**3).sum(1), rtol=1e-4)
    every = samples.reshape(64, -1)
    np.testing.assert_allclose(found.mean, every.mean(0), rtol=1e-4, atol=atol)
    np.testing.assert_allclose(found.variance, every.var(0, ddof=1), rtol=1e-3, atol=atol**2)


def test_one_device_measures_what_four_do(point):
    # On several devices, the gradient with respect to shared parameters would be their sum.
    alone = Sampler(point.sampler.gradient, jax.devices()[:1])
    assert_same(*draw(alone, point, ESTIMATOR), *draw(point.sampler, point, ESTIMATOR))


def toy_gradient(scale, context, key):
    """A pytree of gradients that depends on all three arguments."""
    noise = jax.random.normal(key, (3,))

    def loss(context):
        return scale * noise[0] * context["a"] ** 2 + jnp.sum((noise[1:] - context["b"]) ** 3)

    return jax.grad(loss)(context)


TOY_CONTEXT = {"a": jnp.float32(0.7), "b": jnp.array([0.3, -0.2])}
TOY_CENTRE = {"a": jnp.float32(0.5), "b": -jnp.ones(2)}


def draw_toy(num_samples, *, scale=2.0, key=KEY, devices=2, **options):
    sampler = Sampler(toy_gradient, jax.devices()[:devices])
    return sampler.draw(jnp.asarray(scale), TOY_CONTEXT, key, num_samples, TOY_CENTRE, **options)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("devices", [1, 2, 3, 4])
def test_devices_change_nothing(devices):
    # Three cannot share 32 blocks.
    samples = one_by_one(lambda key: toy_gradient(2.0, TOY_CONTEXT, key), KEY, 64)
    (found,) = draw_toy(64, devices=devices)
    off = samples - found.centre
    np.testing.assert_allclose(found.sums, off.sum(1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.squares, (off**2).sum((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found.distances, (off**2).sum((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("room, pair, chunk", [(1, 1, 1), (1, 2**9, 2), (64, 1, 4), (2**30, 1, 48)])
def test_chunks_change_nothing(room, pair, chunk, monkeypatch):
    (expected,) = draw_toy(NUM_BLOCKS * 48)
    sizes = []
    monkeypatch.setattr(moments, "CACHE_BYTES", room)
    monkeypatch.setattr(moments, "_PAIR_BYTES", pair)
    monkeypatch.setattr(
        Sampler,
        "_chunk",
        lambda *arguments, of=Sampler._chunk: sizes.append(of(*arguments)) or sizes[-1],
    )
    (found,) = draw_toy(NUM_BLOCKS * 48)
    # 12 bytes a gradient, alone only if two are too large; a chunk divides the block.
    assert sizes == [chunk]
    assert_same(found, expected)


def test_a_stack_is_its_members(point):
    members = [ESTIMATOR, GumbelSoftmax(1.0)]
    swept = draw(point.sampler, point, stack(members), stacked=True)
    assert len(swept) == 2
    for blocks, member in zip(swept, members, strict=True):
        (alone,) = draw(point.sampler, point, member)
        assert_same(blocks, alone, rtol=1e-5)
    # Common random numbers, but not the same gradients.
    assert np.abs(swept[0].sums - swept[1].sums).max() > 0.1 * np.abs(swept[0].sums).max()


def test_keys_are_the_samples():
    (first,), (again,), (other,) = draw_toy(64), draw_toy(64), draw_toy(64, key=jax.random.key(4))
    np.testing.assert_array_equal(first.sums, again.sums)
    np.testing.assert_array_equal(first.squares, again.squares)
    assert np.all(first.sums != other.sums)
    # No two blocks, and so no two devices or rounds, share a key.
    assert len(np.unique(first.sums[:, 0])) == NUM_BLOCKS


def test_noise_of_neighbouring_samples_is_independent():
    count = 2**17
    keys = jax.vmap(sample_key, (None, 0))(KEY, jnp.arange(count))
    noise = np.asarray(jax.vmap(lambda key: jax.random.normal(key, (4,)))(keys), np.float64)
    assert np.abs(np.corrcoef(noise.T) - np.eye(4)).max() < 5 / np.sqrt(count)
    for lag in (1, 2, 3, 4, 8, 100, 1024):
        products = noise[:-lag].T @ noise[lag:] / np.sqrt(count)
        squares = (noise[:-lag] ** 2 - 1).T @ (noise[lag:] ** 2 - 1) / (2 * np.sqrt(count))
        assert max(np.abs(products).max(), np.abs(squares).max()) < 5, lag


def test_neighbouring_seeds_share_no_sample():
    seeds, indices = jnp.arange(8), jnp.arange(1000)
    keys = jax.vmap(lambda s: jax.vmap(lambda i: sample_key(jax.random.key(s), i))(indices))(seeds)
    words = np.asarray(jax.random.key_data(keys)).reshape(8000, -1)
    assert len(np.unique(words, axis=0)) == 8000


@pytest.mark.parametrize(
    ("asked", "drawn"), [(1, 32), (32, 32), (33, 64), (100, 128), (1000, 1024)]
)
def test_samples_are_rounded_up_to_whole_blocks(asked, drawn):
    (blocks,) = draw_toy(asked)
    assert blocks.count == drawn and blocks.sums.shape == (NUM_BLOCKS, 3)
    assert blocks.size == drawn // NUM_BLOCKS


def test_progress():
    told = []
    draw_toy(64, progress=told.append)
    assert told == sorted(told) and told[-1] == 1 and len(told) == 4


def test_a_large_mean_costs_no_precision():
    # float32 holds 7 digits: about zero, squares of 1e4 would lose a variance of one.
    shift = 1e4

    def gradient(_, context, key):
        return context + jax.random.normal(key, (4,))

    sampler = Sampler(gradient, jax.devices()[:2])
    arguments = (), jnp.float32(shift), KEY, NUM_BLOCKS * 256
    (found,) = sampler.draw(*arguments, jnp.full(4, shift))
    samples = one_by_one(lambda key: gradient(None, jnp.float32(shift), key), KEY, NUM_BLOCKS * 256)
    every = samples.reshape(-1, 4)
    np.testing.assert_allclose(found.variance, every.var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(found.mean, every.mean(0), rtol=1e-9)
    # Nor does a truth that is far from the mean: the sums are about a mean of the samples.
    (biased,) = sampler.draw(*arguments, jnp.zeros(4))
    np.testing.assert_allclose(biased.variance, every.var(0, ddof=1), rtol=1e-5)
    # So the centre is what does it.
    (about_zero,) = sampler.draw(*arguments)
    assert np.abs(about_zero.variance / every.var(0, ddof=1) - 1).min() > 1e-3


def test_a_sampled_truth_is_the_mean_of_other_samples():
    # Two bits more than can be enumerated would take; the reference is a long run with other keys.
    problem = VAE(size=21, batch_size=2)
    point = prepare(problem, jax.random.key(1), group="logits", reference_samples=256)
    assert point.truth.blocks.count == 256
    np.testing.assert_array_equal(point.truth.mean, flat(point.centre))
    np.testing.assert_allclose(point.truth.mean, point.truth.blocks.mean, rtol=1e-6)
    assert point.truth.error == pytest.approx(point.truth.blocks.variance.sum() / 256)
    (blocks,) = point.draw(ScoreFunction(LeaveOneOut(4)), jax.random.key(2), 256)
    noise = blocks.variance / blocks.count + point.truth.blocks.variance / 256
    z = (blocks.mean - point.truth.mean) / np.sqrt(noise)
    # Other keys: different samples of the same mean.
    assert 0.5 < np.sqrt(np.mean(z**2)) < 1.6


def test_a_scan_inside_the_gradient():
    """A user's f may loop; on several devices too."""

    def gradient(_, context, key):
        def loss(context):
            start = jnp.zeros(())
            return jax.lax.scan(lambda c, x: (c + context * x, None), start, jnp.arange(3.0))[0]

        return jax.grad(loss)(context) + jax.random.normal(key)

    arguments = (), jnp.float32(0.3), KEY, NUM_BLOCKS * 8
    one, four = (Sampler(gradient, jax.devices()[:n]).draw(*arguments)[0] for n in (1, 4))
    np.testing.assert_allclose(one.mean, four.mean, rtol=1e-6)
    assert abs(one.mean[0] - 3) < 5 * np.sqrt(one.variance[0] / one.count)


@pytest.mark.parametrize("unit", [2.0**-100, 2.0**-66, 2.0**64, 2.0**110])
@pytest.mark.parametrize("off", [0.0, 3.0])
def test_squares_stay_within_the_range(unit, off):
    """Of float32: a unit, a power of two, changes nothing but the unit."""

    def drawn(unit):
        def gradient(scale, context, key):
            return scale * context * (off + jax.random.normal(key, (2,)))

        truth = unit * jnp.array([1.0, 2.0])
        return Sampler(gradient).draw(1.0, jnp.float32(unit), KEY, 4096, truth)[0]

    one, other = drawn(1.0), drawn(unit)
    np.testing.assert_allclose(other.mean / unit, one.mean, rtol=1e-5)
    np.testing.assert_allclose(other.variance / unit**2, one.variance, rtol=1e-5)
    np.testing.assert_allclose(other.cosines, one.cosines, rtol=1e-5)
    np.testing.assert_allclose(other.powers / [unit**2, 1, 1], one.powers, rtol=1e-4)
    np.testing.assert_allclose(one.variance, 1, rtol=0.2)


def test_members_of_a_stack_have_units_of_their_own():
    def gradient(scale, context, key):
        return scale * context * jax.random.normal(key, (2,))

    units = jnp.array([2.0**-70, 1.0, 2.0**70])
    drawn = Sampler(gradient).draw(units, jnp.float32(1), KEY, 1024, jnp.zeros(2), stacked=True)
    tiny, one, huge = (np.sqrt(blocks.variance) for blocks in drawn)
    np.testing.assert_allclose(tiny * 2.0**70, one, rtol=1e-6)
    np.testing.assert_allclose(huge / 2.0**70, one, rtol=1e-6)
