"""What tests of distributions share: logits, compiled methods, and p-values.

Each statistical test has a fixed key and one threshold: a p-value below `LEAST_P_VALUE` fails.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.special
import scipy.stats

from estimators.straight_through.hard_squash import hard_squash

LEAST_P_VALUE = 1e-4
BIT_LOGITS = [-3.0, 0.0, 1.5]
CLASS_LOGITS = [0.3, -1.2, 1.0, -2.5]


def repeat(logits, count, dtype):
    """`count` independent copies of some logits."""
    return jnp.broadcast_to(jnp.asarray(logits, dtype), (count, *np.shape(logits)))


def softmax(logits):
    return scipy.special.softmax(np.asarray(logits, float), -1)


def ks(draws, cdf):
    return scipy.stats.kstest(np.asarray(draws).ravel(), cdf).pvalue


class Compiled:
    """A distribution whose methods and properties are one program each, not one an operation."""

    def __init__(self, distribution):
        self.own = distribution

    def __getattr__(self, name):
        attribute = getattr(type(self.own), name)
        if isinstance(attribute, property):
            return _run(name, self.own)
        return lambda *arguments: _run(name, self.own, *map(bare, arguments))

    def each(self, name, points):
        """Call a method on each of several points."""
        return _run_each(name, self.own, points)


compiled_hard_squash = jax.jit(hard_squash)


def bare(argument):
    return argument.own if isinstance(argument, Compiled) else argument


@functools.partial(jax.jit, static_argnums=0)
def _run(name, distribution, *arguments):
    found = getattr(distribution, name)
    return found(*arguments) if callable(found) else found


@functools.partial(jax.jit, static_argnums=0)
def _run_each(name, distribution, points):
    return jax.vmap(getattr(distribution, name))(points)


def rare_p_values(draw, probabilities, num_chunks):
    """Whether events are as frequent as they should be: `draw` gives `[events, 2^20]` for a key."""

    @jax.jit
    def count(key):
        def chunk(total, key):
            return total + jnp.sum(draw(key), 1, dtype=jnp.int32), None

        start = jnp.zeros(len(probabilities), jnp.int32)
        return jax.lax.scan(chunk, start, jax.random.split(key, num_chunks))[0]

    total = num_chunks * 2**20
    hits = [int(hit) for hit in count(jax.random.key(1))]
    tests = map(scipy.stats.binomtest, hits, itertools.repeat(total), probabilities)
    return np.array([test.pvalue for test in tests])


def slope(function, at, step=1e-5):
    """The derivative of a function of float64, by central differences of the fourth order."""
    near = function(at + step) - function(at - step)
    far = function(at + 2 * step) - function(at - 2 * step)
    return (8 * near - far) / (12 * step)
