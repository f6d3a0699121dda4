"""Monte Carlo: gradients of many samples, and how far their mean is from a truth."""

import collections
import functools

import jax
import numpy as np

from tests.estimators.helpers.enumeration import FAST_TO_COMPILE

COUNT = 2**17
BATCH = 4096

traces = collections.Counter()
"""How often each problem's gradient was traced."""


def layer_keys(problem, key):
    """Return one key per layer; a single layer gets the key itself."""
    return (key,) if problem.layers == 1 else tuple(jax.random.split(key, problem.layers))


def one_key(problem, key):
    """Return the same key for every layer: the mistake that the tests must see."""
    return (key,) * problem.layers


@functools.partial(jax.jit, static_argnums=(0, 4), compiler_options=FAST_TO_COMPILE)
def _batch(problem, operators, parameters, keys, split):
    traces[problem] += 1

    def one(key):
        return problem.gradient(operators, split(problem, key), parameters)

    def step(_, keys):
        return None, jax.vmap(one)(keys)

    return jax.lax.scan(step, None, keys.reshape(8, -1))[1].reshape(BATCH, -1)


@functools.partial(jax.jit, static_argnums=0)
def gradient_alone(problem, operators, keys, parameters):
    """Return one sample of `[value, *gradient]`, with one key per layer."""
    return problem.gradient(operators, keys, parameters)


def batch_keys(seed=1, number=0):
    """Return the keys of one batch."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), number), BATCH)


def gradient_batch(problem, operators, parameters=None, seed=1, number=0, split=layer_keys):
    """Return `BATCH` samples of `[value, *gradient]`: jit of scan of vmap of grad, in float32."""
    parameters = problem.arrays(np.float32) if parameters is None else parameters
    return np.asarray(_batch(problem, operators, parameters, batch_keys(seed, number), split))


@functools.lru_cache(maxsize=2)
def gradient_samples(problem, operators, count=COUNT, split=layer_keys):
    """Return `count` samples of `[value, *gradient]`; the last ones are remembered."""
    numbers = range(count // BATCH)
    return np.concatenate(
        [gradient_batch(problem, operators, number=n, split=split) for n in numbers]
    )


def forget():
    """Free what was compiled and computed: hundreds of programs add up to gigabytes."""
    _batch.clear_cache()
    gradient_alone.clear_cache()
    gradient_samples.cache_clear()


def z_scores(samples, truth):
    """Return how many of its own standard errors each coordinate's mean is from the truth."""
    mean = samples.mean(0, dtype=np.float64)
    error = samples.std(0, ddof=1, dtype=np.float64) / np.sqrt(len(samples))
    # Where nothing is random, the rounding of float32 is the error.
    return np.abs(mean - truth) / np.hypot(error, 1e-6 * np.maximum(1, np.abs(truth)))
