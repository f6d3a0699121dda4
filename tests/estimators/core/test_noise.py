"""The laws of the random numbers, and above all of their tails.

Each statistical test has a fixed key and one threshold: a p-value below `LEAST_P_VALUE` fails.
Where JAX's default mode is wrong, the same test is shown to reject it.
"""

import functools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import estimators
from estimators.core import noise, threefry

pytestmark = [pytest.mark.usefixtures("strict_dtypes"), pytest.mark.many_samples]

LEAST_P_VALUE = 1e-4
SAMPLERS = ["uniform", "logistic", "gumbel", "normal"]
LAWS = {
    "uniform": scipy.stats.uniform(),
    "logistic": scipy.stats.logistic(),
    "gumbel": scipy.stats.gumbel_r(),
    "normal": scipy.stats.norm(),
}


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


def half_way(values, towards):
    """The end of the interval of real numbers that round to each value."""
    return (values.astype(float) + np.nextafter(values, values.dtype.type(towards))) / 2


@pytest.mark.first_cases(8)
@pytest.mark.parametrize("transform", [lambda sampler: sampler, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_law(name, transform, dtype):
    sampler = functools.partial(getattr(noise, name), shape=(2**18,), dtype=dtype)
    draws = transform(sampler)(jax.random.key(0))
    assert draws.dtype == dtype
    assert scipy.stats.kstest(np.asarray(draws), LAWS[name].cdf).pvalue > LEAST_P_VALUE


# Both tails -------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=(0, 1))
def count_beyond(sampler, num_chunks, key, below, above):
    """Draw 2^20 numbers per chunk: counts below and above thresholds, then least and greatest."""
    infinity = jnp.asarray(jnp.inf, below.dtype)

    def draw_chunk(carry, chunk_key):
        low, high, least, greatest = carry
        draws = sampler(chunk_key, (2**20,), below.dtype)
        low += jax.vmap(lambda t: jnp.sum(draws < t, dtype=jnp.int32))(below)
        high += jax.vmap(lambda t: jnp.sum(draws > t, dtype=jnp.int32))(above)
        # A NaN would pass both comparisons; min and max propagate it.
        least, greatest = jnp.minimum(least, draws.min()), jnp.maximum(greatest, draws.max())
        return (low, high, least, greatest), None

    zeros = jnp.zeros(below.shape, jnp.int32)
    start = (zeros, zeros, infinity, -infinity)
    return jax.lax.scan(draw_chunk, start, jax.random.split(key, num_chunks))[0]


def tail_p_values(sampler, law, dtype, num_chunks):
    """Exceedance counts at 1e-5 to 1e-8 on both sides against the binomial law."""
    probabilities = np.array([1e-5, 1e-6, 1e-7, 1e-8])
    below = law.ppf(probabilities).astype(dtype)
    above = law.isf(probabilities).astype(dtype)
    low, high, least, greatest = count_beyond(
        sampler, num_chunks, jax.random.key(1), jnp.asarray(below), jnp.asarray(above)
    )
    # The true number rounds to one below (above) the threshold.
    low_probabilities = law.cdf(half_way(below, -np.inf))
    high_probabilities = law.sf(half_way(above, np.inf))
    p_values = [
        scipy.stats.binomtest(int(count), num_chunks * 2**20, probability).pvalue
        for count, probability in zip(
            [*low, *high], [*low_probabilities, *high_probabilities], strict=True
        )
    ]
    return np.array(p_values), float(least), float(greatest)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", SAMPLERS)
def test_tails(name, dtype):
    num_chunks = 2**7 if dtype == np.float32 else 2**4
    p_values, least, greatest = tail_p_values(getattr(noise, name), LAWS[name], dtype, num_chunks)
    assert p_values.min() > LEAST_P_VALUE
    low, high = (0, 1) if name == "uniform" else (-np.inf, np.inf)
    assert low < least < greatest < high


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("name", ["uniform", "logistic", "gumbel"])
def test_default_mode_of_jax_fails_in_the_tails(name):
    # In float32: this is why estimators.core.noise exists. Its normal numbers err beyond 3e-8: that
    # takes more draws to show.
    sampler = getattr(jax.random, name)
    p_values, _, _ = tail_p_values(sampler, LAWS[name], np.dtype("float32"), 2**7)
    assert p_values.min() < LEAST_P_VALUE


def atom_p_value(draws, law):
    """Whether a number outside the central 98% occurs more often than its share, by Bonferroni."""
    draws = np.asarray(draws)
    tails = draws[(draws < law.ppf(0.01)) | (draws > law.isf(0.01))]
    values, counts = np.unique(tails, return_counts=True)
    low, high = half_way(values, -np.inf), half_way(values, np.inf)
    lower, upper = law.cdf(high) - law.cdf(low), law.sf(low) - law.sf(high)
    share = np.where(values < law.median(), lower, upper)
    # The map is itself rounded, so a number may get its neighbours' share; and u has 32 bits.
    expected = len(draws) * (3 * share + 2.0**-31)
    return scipy.stats.poisson.sf(counts - 1, expected).min() * len(values)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", SAMPLERS)
def test_tails_have_no_atoms(name):
    key, shape = jax.random.key(2), (2**22,)
    ours = getattr(noise, name)(key, shape)
    default = getattr(jax.random, name)(key, shape)
    assert atom_p_value(ours, LAWS[name]) > LEAST_P_VALUE
    assert atom_p_value(default, LAWS[name]) < LEAST_P_VALUE**2


# Every number is its word's quantile: what is too rare to be drawn ------------------------------


@pytest.fixture
def from_words(monkeypatch):
    """Call a sampler on given random words."""

    def call(name, words, transform=lambda sampler: sampler):
        with monkeypatch.context() as patch:
            patch.setattr(noise, "random_words", lambda key, shape, bits: jnp.asarray(words))
            sampler = getattr(noise, name)
            dtype = f"float{8 * words.itemsize}"
            return np.asarray(transform(lambda: sampler(None, words.shape, dtype))())

    return call


def extreme_words(dtype):
    """Some words from either end inwards, in order."""
    bits = jnp.finfo(dtype).bits
    low = np.unique(np.geomspace(1, 2.0 ** (bits - 1), 2000).astype(f"uint{bits}"))
    low = np.concatenate([np.arange(100, dtype=low.dtype), low[low >= 100]])
    return np.concatenate([low, ~low[::-1]])


@pytest.mark.parametrize("transform", [lambda sampler: sampler, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_number_is_the_quantile_of_its_word(name, transform, dtype, from_words):
    words = extreme_words(dtype)
    numbers = from_words(name, words, transform)
    half = len(words) // 2
    scale = 2.0 ** -jnp.finfo(dtype).bits
    law = LAWS[name]
    expected = np.concatenate(
        [
            law.ppf((words[:half].astype(float) + 0.5) * scale),
            law.isf((np.invert(words[half:]).astype(float) + 0.5) * scale),
        ]
    )
    # Relative in the tails; near the centre u is spaced by eps. The uniform number is exact; in
    # float64 XLA's log1p, uncompiled, errs by 97 eps.
    if name == "uniform":
        tolerance = np.abs(expected)
    else:
        tolerance = (8 if dtype == np.float32 else 200) * np.maximum(1, np.abs(expected))
    assert np.all(np.abs(numbers - expected) <= jnp.finfo(dtype).eps * tolerance)
    assert np.all(np.isfinite(numbers)) and np.all(np.diff(numbers) >= 0)
    # So no two of the extreme words share a number: there are no atoms.
    assert np.all(np.diff(numbers[:1000]) > 0)
    if name == "uniform":
        assert 0 < numbers[0] and numbers[-1] < 1
    else:
        assert np.all(np.diff(numbers[-1000:]) > 0)


# Keys, shapes, transformations ------------------------------------------------------------------


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", SAMPLERS)
def test_shapes_and_transformations(name, dtype):
    sampler = getattr(noise, name)
    key = jax.random.key(3)
    for shape in [(), (0,), (2, 3, 4)]:
        draws = sampler(key, shape, dtype)
        assert draws.shape == shape and draws.dtype == dtype
        np.testing.assert_array_equal(draws, sampler(key, shape, dtype))
    like = noise.draw_like(sampler, key, jnp.zeros((2, 3, 4), dtype))
    np.testing.assert_array_equal(like, draws)
    keys = jax.random.split(key, 5)
    mapped = jax.vmap(lambda key: sampler(key, (3,), dtype))(keys)
    looped = jnp.stack([sampler(key, (3,), dtype) for key in keys])
    # The same words; the logarithm may be rounded otherwise.
    eps = jnp.finfo(dtype).eps
    np.testing.assert_allclose(mapped, looped, rtol=8 * eps, atol=8 * eps)
    assert len(np.unique(mapped)) == mapped.size


def test_nothing_else_draws():
    # So what this file proves holds for every sample.
    for path in pathlib.Path(estimators.__file__).parent.rglob("*.py"):
        if path not in map(pathlib.Path, (noise.__file__, threefry.__file__)):
            used = set(re.findall(r"\brandom\.(\w+)", path.read_text()))
            assert used <= {"key", "fold_in", "split"}, path
            assert "random_words" not in path.read_text(), path


def test_sample_keys_are_the_key_itself_and_its_folds():
    key = jax.random.key(4)
    for num_samples in [1, 2, 5]:
        keys = noise.sample_keys(key, num_samples)
        expected = [key, *(jax.random.fold_in(key, i) for i in range(1, num_samples))]
        assert keys.shape == (num_samples,)
        for one, other in zip(keys, expected, strict=True):
            np.testing.assert_array_equal(jax.random.key_data(one), jax.random.key_data(other))


def test_draws_from_sample_keys_are_independent(dtype):
    # A fold's key is made as JAX makes random words, so this is worth a look.
    def draw(key):
        keys = noise.sample_keys(key, 3)
        return jax.vmap(lambda key: noise.uniform(key, (4,), dtype))(keys).reshape(-1)

    num_keys = 2**16
    draws = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(5), num_keys)))
    pairs = np.stack(np.triu_indices(12, 1), -1)
    p_values = []
    for i, j in pairs:
        cells = np.histogram2d(draws[:, i], draws[:, j], bins=8, range=[[0, 1], [0, 1]])[0]
        p_values.append(scipy.stats.chisquare(cells.ravel()).pvalue)
    assert min(p_values) * len(pairs) > LEAST_P_VALUE
