"""Monte Carlo: gradients of many samples, and how far their mean is from a truth."""

import collections
import functools

import jax
import numpy as np

from tests.estimators.enumeration import FAST_TO_COMPILE

COUNT = 2**17
_CHUNKS = 32

traces = collections.Counter()
"""How often each problem's gradient was traced."""


def layer_keys(problem, key):
    """Return one key per layer; a single layer gets the key itself."""
    return (key,) if problem.layers == 1 else tuple(jax.random.split(key, problem.layers))


def one_key(problem, key):
    """Return the same key for every layer: the mistake that the tests must see."""
    return (key,) * problem.layers


@functools.partial(jax.jit, static_argnums=(0, 4), compiler_options=FAST_TO_COMPILE)
def _scanned(problem, operators, parameters, keys, split):
    traces[problem] += 1

    def one(key):
        return problem.gradient(operators, split(problem, key), parameters)

    def step(_, keys):
        return None, jax.vmap(one)(keys)

    return jax.lax.scan(step, None, keys)[1]


def sample_keys(seed=1):
    """Return the `[COUNT]` keys that `gradient_samples` uses."""
    return jax.random.split(jax.random.key(seed), COUNT)


def gradient_samples(problem, operators, *, parameters=None, seed=1, split=layer_keys):
    """Return `COUNT` samples of `[value, *gradient]`: jit of scan of vmap of grad, in float32."""
    parameters = problem.arrays(np.float32) if parameters is None else parameters
    keys = sample_keys(seed).reshape(_CHUNKS, -1)
    return np.asarray(_scanned(problem, operators, parameters, keys, split)).reshape(COUNT, -1)


def z_scores(samples, truth):
    """Return how many of its own standard errors each coordinate's mean is from the truth."""
    mean = samples.mean(0, dtype=np.float64)
    error = samples.std(0, ddof=1, dtype=np.float64) / np.sqrt(len(samples))
    # Where nothing is random, the rounding of float32 is the error.
    return np.abs(mean - truth) / np.hypot(error, 1e-6 * np.maximum(1, np.abs(truth)))
