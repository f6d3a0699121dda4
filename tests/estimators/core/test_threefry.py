"""The written-out Threefry against JAX's own, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators.core.threefry import random_words


@pytest.mark.first_cases(6)
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4, 5), (1000,), (0,)])
def test_words_are_jaxs(shape, bits):
    with jax.enable_x64(bits == 64):
        for seed in (0, 1, 2**31):
            key = jax.random.fold_in(jax.random.key(3), seed)
            words = random_words(key, shape, bits)
            assert words.dtype == f"uint{bits}" and words.shape == shape
            np.testing.assert_array_equal(words, jax.random.bits(key, shape, words.dtype))


def test_under_transformations():
    keys = jax.random.split(jax.random.key(0), 6).reshape(2, 3)
    drawn = jax.jit(jax.vmap(jax.vmap(lambda key: random_words(key, (5,), 32))))(keys)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(drawn[i, j], jax.random.bits(keys[i, j], (5,)))
    (scanned,) = jax.lax.scan(lambda _, key: ((), random_words(key, (5,), 32)), (), keys[0])[1:]
    np.testing.assert_array_equal(scanned, drawn[0])


def test_another_generator_keeps_its_own_words():
    key = jax.random.key(0, impl="rbg")
    np.testing.assert_array_equal(random_words(key, (4,), 32), jax.random.bits(key, (4,)))
    assert len(jnp.unique(random_words(key, (4,), 32))) == 4
