"""Keys that say what noise they give.

An estimator is a function of its key, so to enumerate its samples, or to integrate over its noise,
it is called with keys of the tests' own random number generator, whose keys hold the random words
themselves. Nothing inside the library is replaced.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl
from scipy.special import ndtr
from scipy.stats import poisson

_TOP = np.uint64(2**64 - 1)


@functools.cache
def _generator(draws, size):
    """Return a generator whose key is `[draw, *words]`; folding in a number moves to another draw.

    The key itself is draw 0, and `fold_in(key, i)` draw i: the library's noise protocol. A larger
    number (a stream's name) counts as 1.
    """

    def random_bits(key, width, shape):
        assert np.prod(shape, dtype=int) == size, "one draw is one event's noise"
        start = key[0] * np.uint32(2 * size)
        words = jax.lax.dynamic_slice(key[1:], (start,), (2 * size,)).reshape(*shape, 2)
        if width == 32:
            return words[..., 0]
        return (words[..., 0].astype("uint64") << np.uint64(32)) | words[..., 1].astype("uint64")

    def fold_in(key, number):
        number = jnp.asarray(number, np.uint32)
        return key.at[0].add(jnp.where(number < draws, number, np.uint32(1)))

    def refuse(*_):
        raise NotImplementedError("a scripted key is used for one layer")

    return define_prng_impl(
        key_shape=(1 + 2 * draws * size,),
        seed=refuse,
        split=refuse,
        random_bits=random_bits,
        fold_in=fold_in,
        name=f"scripted {draws}x{size}",
    )


def _keys(words):
    """Return `[N]` keys for words `[N, draws, *event]`."""
    count, draws = words.shape[:2]
    words = np.ascontiguousarray(words.reshape(count, -1), np.uint64)
    halves = np.stack([words >> np.uint64(32), words & np.uint64(2**32 - 1)], -1)
    data = np.concatenate([np.zeros((count, 1)), halves.reshape(count, -1)], 1).astype(np.uint32)
    return jax.random.wrap_key_data(data, impl=_generator(draws, words.shape[1] // draws))


def hard_keys(samples):
    """Return keys whose draws are the given hard samples `[N, draws, *event]`.

    The noise is as extreme as it gets, 45 in float64, so logits well below that do not matter.
    """
    return _keys(np.where(np.asarray(samples) > 0, _TOP, np.uint64(0)))


def _words(u, rest):
    """Return the words for uniform numbers given from both ends, so that both are accurate."""
    low = np.floor(np.minimum(u, 0.75) * 2.0**64).astype(np.uint64)
    high = _TOP - np.floor(np.minimum(rest, 0.75) * 2.0**64).astype(np.uint64)
    return np.where(u < rest, low, high)


def logistic_keys(noise):
    """Return keys whose draws are logistic noise `[N, draws, *event]`, within +-30."""
    return _keys(_words(1 / (1 + np.exp(-noise)), 1 / (1 + np.exp(noise))))


def gumbel_keys(noise):
    """Return keys whose draws are Gumbel noise `[N, draws, *event]`, from -3.5 to 30."""
    return _keys(_words(np.exp(-np.exp(-noise)), -np.expm1(-np.exp(-noise))))


def normal_keys(noise):
    """Return keys whose draws are standard normal noise `[N, draws, *event]`, within +-8."""
    return _keys(_words(ndtr(noise), ndtr(-noise)))


def poisson_keys(counts, rates):
    """Return keys whose draws are the given counts `[N, draws, *event]` of Poisson variables."""
    below, up_to = poisson.cdf(counts - 1, rates), poisson.cdf(counts, rates)
    above, from_on = poisson.sf(counts, rates), poisson.sf(counts - 1, rates)
    return _keys(_words((below + up_to) / 2, (above + from_on) / 2))


def two_class_keys(noise):
    """Return keys for two classes whose Gumbel noise differs by logistic noise `[N, draws]`."""
    return gumbel_keys(np.stack([np.maximum(noise, 0), np.maximum(-noise, 0)], -1))
